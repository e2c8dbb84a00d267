"""NVIDIA's client over gRPC, as triton_http has it over HTTP. Arguments: ADDRESS, KEY, CA_FILE or ""."""

import json
import sys
from typing import Any

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException


def main(address: str, key: str, ca_file: str) -> dict[str, Any]:
    secure = {"ssl": True, "root_certificates": ca_file} if ca_file else {}
    client, headers = InferenceServerClient(address, **secure), {"authorization": f"Bearer {key}"}
    observations = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]], np.float32)

    def ask(kind: str, dtype: type, version: str = "", **parameters: Any) -> Any:
        tensor = InferInput("data", [2, 4], kind)
        tensor.set_data_from_numpy(observations.astype(dtype))
        return client.infer(
            "tiny-policy", [tensor], version, request_id="seven", headers=headers, parameters=parameters or None
        )

    def refused(call: Any) -> list[Any]:
        try:
            return [str(call())]
        except InferenceServerException as error:
            return [error.status(), error.message()]

    wrong = InferInput("data", [1, 3], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 3), np.float32))
    answers = [
        ask("FP32", np.float32),
        ask("FP64", np.float64),
        ask("FP32", np.float32, "1.0", deterministic=False, seed=1),
    ]
    return {
        "live": client.is_server_live(headers),
        "ready": client.is_server_ready(headers),
        "model": client.is_model_ready("tiny-policy", headers=headers),
        "version": client.is_model_ready("tiny-policy", "1.0", headers=headers),
        "server": client.get_server_metadata(headers, as_json=True),
        "metadata": client.get_model_metadata("tiny-policy", headers=headers, as_json=True),
        "ids": [answer.get_response().id for answer in answers],
        "answers": [[json.loads(each) for each in answer.as_numpy("predictions")] for answer in answers],
        "refused": refused(lambda: client.infer("tiny-policy", [wrong], headers=headers)),
        "parameter": refused(lambda: ask("FP32", np.float32, sed=1)),
        "unknown": refused(lambda: client.infer("nothing", [wrong], headers=headers)),
        "about unknown": refused(lambda: client.get_model_metadata("nothing", headers=headers)),
        "without a key": refused(lambda: client.infer("tiny-policy", [wrong])),
        "other extension": refused(lambda: client.get_model_config("tiny-policy", headers=headers)),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
