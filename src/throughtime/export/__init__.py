"""Trained models written so that they run without this package."""

from throughtime.export.contents import Contents, TargetScale, contents_of
from throughtime.export.onnx_graph import export_onnx
from throughtime.export.torch_module import EXPORTED, export_torch

__all__ = ["EXPORTED", "Contents", "TargetScale", "contents_of", "export_onnx", "export_torch"]
