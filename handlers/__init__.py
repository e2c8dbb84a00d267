"""Code that runs inside a TorchServe worker: request → decode → batch → model → encode → response.

It travels in archives, so it imports nothing else of this project.
"""

import os

# ONNX Runtime 1.29 and later, once imported, report to Microsoft what is loaded and how it runs, from a thread of their
# own, and keep an identifier of the device in the user's home: https://github.com/microsoft/onnxruntime/pull/27379
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
