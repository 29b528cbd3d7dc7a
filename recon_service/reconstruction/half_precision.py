"""A network in half precision: constants and arithmetic in float16, inputs and outputs still float32."""

from __future__ import annotations

import numpy as np

LARGEST = float(np.finfo(np.float16).max)


def halved(graph: bytes) -> bytes:
    """The same ONNX graph with every float32 constant and every intermediate value in float16.

    Casts stand at the inputs and outputs, so that callers see no difference but that of rounding. Constants
    beyond the range of float16 are cut to it.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(graph)
    body = model.graph
    for constant in body.initializer:
        if constant.data_type == TensorProto.FLOAT:
            value = numpy_helper.to_array(constant).clip(-LARGEST, LARGEST).astype(np.float16)
            constant.CopyFrom(numpy_helper.from_array(value, constant.name))
    renamed = {value.name: f"{value.name}_half" for value in (*body.input, *body.output)}
    for node in body.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    casts_in = [
        helper.make_node("Cast", [v.name], [renamed[v.name]], to=TensorProto.FLOAT16) for v in body.input
    ]
    casts_out = [
        helper.make_node("Cast", [renamed[v.name]], [v.name], to=TensorProto.FLOAT) for v in body.output
    ]
    nodes = [*casts_in, *body.node, *casts_out]
    del body.node[:]
    body.node.extend(nodes)
    return bytes(model.SerializeToString())
