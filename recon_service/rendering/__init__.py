"""Pictures and files of meshes: clay shading, overlays on selfies, three views, GLB, PLY and OBJ."""
