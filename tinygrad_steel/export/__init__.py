"""ONNX files: the forward of a graph, and which op becomes what in one."""

from .mapping import MAPPING as MAPPING
from .mapping import PARTS as PARTS
from .onnx_file import export_onnx as export_onnx
