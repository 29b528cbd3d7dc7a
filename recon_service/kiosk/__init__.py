"""A kiosk: camera, best frames, verification, decision. Needs none of the server's packages.

>>> from recon_service.kiosk.cameras import open_camera
>>> open_camera("simulated").camera_name
'simulated-structured-light'
"""
