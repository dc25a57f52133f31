"""Trained models written so that they run without this package."""

from throughtime.export.contents import Contents, TargetScale, contents_of

__all__ = ["Contents", "TargetScale", "contents_of"]
