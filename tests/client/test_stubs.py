"""The checked-in stubs are what the protos give, and say on the wire what TorchServe's contract says."""

import shutil
import subprocess
from pathlib import Path

from google.protobuf import descriptor_pb2

from client.stubs import inference_pb2, management_pb2

PROJECT = Path(__file__).parents[2]
INFERENCE = {
    "PredictionsRequest": {"model_name": 1, "model_version": 2, "input": 3, "sequence_id": 4},
    "PredictionResponse": {"prediction": 1, "sequence_id": 2, "status": 3},
    "TorchServeHealthResponse": {"health": 1},
    "Status": {"code": 1, "message": 2, "details": 3},
}
MANAGEMENT = {
    "ManagementResponse": {"msg": 1},
    "DescribeModelRequest": {"model_name": 1, "model_version": 2, "customized": 3},
    "ListModelsRequest": {"limit": 1, "next_page_token": 2},
    "RegisterModelRequest": {
        "batch_size": 1, "handler": 2, "initial_workers": 3, "max_batch_delay": 4, "model_name": 5,
        "response_timeout": 6, "runtime": 7, "synchronous": 8, "url": 9, "s3_sse_kms": 10, "startup_timeout": 11,
    },
    "ScaleWorkerRequest": {
        "model_name": 1, "model_version": 2, "max_worker": 3, "min_worker": 4, "number_gpu": 5, "synchronous": 6,
        "timeout": 7,
    },
    "SetDefaultRequest": {"model_name": 1, "model_version": 2},
    "UnregisterModelRequest": {"model_name": 1, "model_version": 2},
}  # fmt: skip


def numbers(module: object) -> dict[str, dict[str, int]]:
    file = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)  # type: ignore[attr-defined]
    return {message.name: {field.name: field.number for field in message.field} for message in file.message_type}


def test_field_numbers_are_the_contract() -> None:
    assert numbers(inference_pb2) == INFERENCE
    assert numbers(management_pb2) == MANAGEMENT


def test_methods_are_the_contract() -> None:
    [inference] = inference_pb2.DESCRIPTOR.services_by_name.values()
    [management] = management_pb2.DESCRIPTOR.services_by_name.values()
    assert inference.full_name == "org.pytorch.serve.grpc.inference.InferenceAPIsService"
    assert management.full_name == "org.pytorch.serve.grpc.management.ManagementAPIsService"
    streams = {m.name: (m.client_streaming, m.server_streaming) for m in inference.methods}
    assert streams == {
        "Ping": (False, False),
        "Predictions": (False, False),
        "StreamPredictions": (False, True),
        "StreamPredictions2": (True, True),
    }
    assert {m.output_type.name for m in management.methods} == {"ManagementResponse"}


def test_a_request_is_these_bytes() -> None:
    """Against the wire format written out by hand: field 1, field 2, and a map entry of a name and bytes in field 3."""
    request = inference_pb2.PredictionsRequest(model_name="m", model_version="2", input={"body": b"\x00\xff"})
    assert (
        request.SerializeToString() == b"\x0a\x01m" + b"\x12\x012" + b"\x1a\x0a" + b"\x0a\x04body" + b"\x12\x02\x00\xff"
    )


def test_the_stubs_are_generated_from_the_protos() -> None:
    check = subprocess.run([PROJECT / "scripts" / "generate-stubs", "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_check_sees_a_changed_proto(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "client", tmp_path / "client")
    (tmp_path / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "generate-stubs", tmp_path / "scripts")
    (tmp_path / ".venv").symlink_to(PROJECT / ".venv")
    proto = tmp_path / "client" / "protos" / "inference.proto"
    proto.write_text(proto.read_text().replace("string health = 1;", "string health = 2;"))
    check = subprocess.run([tmp_path / "scripts" / "generate-stubs", "--check"], capture_output=True, text=True)
    assert check.returncode == 1
    assert "run ./scripts/generate-stubs" in check.stderr
    subprocess.run([tmp_path / "scripts" / "generate-stubs"], check=True)
    again = subprocess.run([tmp_path / "scripts" / "generate-stubs", "--check"], capture_output=True, text=True)
    assert again.returncode == 0
