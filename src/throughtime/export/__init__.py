"""Trained models written so that they run without this package."""

from throughtime.export.contents import Contents, TargetScale, contents_of
from throughtime.export.onnx_graph import export_onnx

__all__ = ["Contents", "TargetScale", "contents_of", "export_onnx"]
