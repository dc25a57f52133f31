"""Trained models written so that they run without this package."""

from throughtime.export.contents import Contents, TargetScale, contents_of
from throughtime.export.torch_module import export_torch

__all__ = ["Contents", "TargetScale", "contents_of", "export_torch"]
