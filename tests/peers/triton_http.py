"""NVIDIA's client over HTTP: says what a server of the v2 protocol tells it. Arguments: URL, KEY, CA_FILE or ""."""

import json
import sys
from typing import Any

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException


def main(url: str, key: str, ca_file: str) -> dict[str, Any]:
    secure = {"ssl": True, "ssl_options": {"ca_certs": ca_file}} if ca_file else {}
    client, headers = InferenceServerClient(url, **secure), {"Authorization": f"Bearer {key}"}
    observations = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]], np.float32)

    def ask(binary: bool, compression: str | None = None, version: str = "") -> Any:
        tensor = InferInput("data", [2, 4], "FP32")
        tensor.set_data_from_numpy(observations, binary_data=binary)
        return client.infer(
            "tiny-policy",
            [tensor],
            model_version=version,
            outputs=[InferRequestedOutput("predictions", binary_data=binary)],
            request_id="seven",
            headers=dict(headers),  # it adds to them
            request_compression_algorithm=compression,
        )

    def refused(call: Any) -> list[Any]:
        try:
            return [call()]
        except InferenceServerException as error:
            return [error.status(), error.message()]

    wrong = InferInput("data", [1, 3], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 3), np.float32))
    answers = [ask(False), ask(True), ask(True, "gzip"), ask(True, version="1.0")]
    return {
        "live": client.is_server_live(headers),
        "ready": client.is_server_ready(headers),
        "model": client.is_model_ready("tiny-policy", headers=headers),
        "version": client.is_model_ready("tiny-policy", "1.0", headers=headers),
        "none": client.is_model_ready("nothing", headers=headers),
        "server": client.get_server_metadata(headers),
        "metadata": client.get_model_metadata("tiny-policy", headers=headers),
        "ids": [answer.get_response()["id"] for answer in answers],
        "answers": [[json.loads(each) for each in answer.as_numpy("predictions")] for answer in answers],
        "refused": refused(lambda: client.infer("tiny-policy", [wrong], headers=headers)),
        "unknown": refused(lambda: client.infer("nothing", [wrong], headers=headers)),
        "about unknown": refused(lambda: client.get_model_metadata("nothing", headers=headers)),
        "without a key": refused(lambda: client.infer("tiny-policy", [wrong])),
        "other extension": refused(lambda: client.get_model_config("tiny-policy", headers=headers)),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
