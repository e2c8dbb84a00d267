"""Speech recognition: a recording in, its text out, whole or piece by piece; long ones by overlapping windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.nn import functional as F

from handlers.audio.handler import MIN_SECONDS, AudioHandler
from handlers.audio.recognition.recogniser import Recogniser, Transcript
from handlers.audio.recognition.window import Window, cut
from handlers.errors import InternalError
from handlers.formats import pretrained
from handlers.protocol.openai.call import TRANSCRIPTIONS
from handlers.protocol.payload import Payload, Request
from handlers.protocol.response import JSON, Response, to_json
from handlers.protocol.streaming import LINES, pieces, wants_pieces
from handlers.torchserve.response_stream import ResponseStream


@dataclass(eq=False)
class SpeechRecognitionInput:
    """windows: none of a silent recording. stream: as the request has it. out: where pieces go to, empty where the
    answer is sent whole. sent: characters that were."""

    windows: list[Window]
    seconds: float
    timestamps: str
    additions: dict[str, Any]
    stream: str
    out: list[Callable[[str], None]] = field(default_factory=list)
    sent: int = 0


class SpeechRecognition(AudioHandler[SpeechRecognitionInput, Transcript]):
    """For Hugging Face folders of CTC models and of Whisper.

    preprocessing: {"sample_rate", "seconds" of a window}; the spec's window_seconds overrides the latter. The windows
    of all requests of a batch run together, the first of each before the second ones, so that pieces come early.
    """

    openai = (TRANSCRIPTIONS,)

    def load(self) -> None:
        super().load()
        if self.extractor is None:
            raise ValueError("speech recognition is for Hugging Face folders")
        from transformers import AutoTokenizer

        tokenizer = pretrained.read(AutoTokenizer, self.artifact.weights, "tokenizer")
        self.recogniser = self.make_recogniser(tokenizer)
        if self.recogniser.stride * 2 >= self.recogniser.length:
            raise ValueError("stride_seconds: wanted less than half of the window, since both its ends have as much")

    def make_recogniser(self, tokenizer: Any) -> Recogniser:
        seconds, rows = float(self.artifact.preprocessing["seconds"]), max(self.batch_size, 8)
        model: Any = self.model
        if model.config.model_type == "whisper":
            from handlers.audio.recognition.whisper import Whisper

            limit = int(self.limits["max_new_tokens"])
            return Whisper(model, self.extractor, tokenizer, self.options, seconds, limit, rows)
        from handlers.audio.recognition.ctc import Ctc

        return Ctc(model, self.extractor, tokenizer, self.options, seconds, rows)

    def decode(self, payload: Payload) -> SpeechRecognitionInput:
        waveform = self.waveform(payload)
        settings = self.recogniser.settings(payload)
        additions = self.additions(payload, waveform)
        seconds = len(waveform) / self.sample_rate
        shortest = round(MIN_SECONDS * self.sample_rate)
        heard = F.pad(waveform, (0, max(0, shortest - len(waveform))))
        windows = [] if "silent" in additions else cut(heard, self.recogniser.length, self.recogniser.stride, settings)
        stream = str(payload.parameters.get("stream", "false"))
        return SpeechRecognitionInput(windows, seconds, settings.timestamps, additions, stream)

    def attach_stream(self, request: Request, items: Sequence[SpeechRecognitionInput], stream: ResponseStream) -> None:
        for index, item in enumerate(items):
            if wants_pieces(item.stream, request, stream.over_rpc, stream.entry):
                item.out.append(pieces(request, index, stream))

    def offers(self, items: Sequence[SpeechRecognitionInput]) -> tuple[str, ...]:
        return (LINES, JSON) if any(item.out for item in items) else (JSON,)

    def predict(self, items: Sequence[SpeechRecognitionInput]) -> Sequence[Transcript]:
        """Windows that were done before an error stay done: only the others run again."""
        owners = {id(window): item for item in items if item.out for window in item.windows}

        def changed(window: Window) -> None:
            if id(window) in owners:
                self.send(owners[id(window)])

        waiting = [window for item in items for window in item.windows if not window.done]
        for group in self.recogniser.groups(sorted(waiting, key=lambda window: window.index)):
            self.recogniser.run(group, changed if any(id(window) in owners for window in group) else None)
        return [self.transcript(item) for item in items]

    def send(self, item: SpeechRecognitionInput) -> None:
        new = self.recogniser.settled(item.windows)[item.sent :]
        if new:
            item.sent += len(new)
            for send in item.out:
                send(new)

    def transcript(self, item: SpeechRecognitionInput) -> Transcript:
        if not item.windows or not all(window.finite for window in item.windows):
            return Transcript("")
        return self.recogniser.transcript(item.windows, item.seconds)

    def encode(self, item: SpeechRecognitionInput, output: Transcript, media_type: str) -> Response:
        if not all(window.finite for window in item.windows):
            raise InternalError("the model's output for this input is not finite")
        rest: dict[str, Any] = {"seconds": round(item.seconds, 3)}
        if output.language is not None:
            rest["language"] = output.language
        if item.timestamps != "none":
            rest[f"{item.timestamps}s"] = output.parts
        if any(window.truncated for window in item.windows):
            rest["truncated"] = True
        rest |= item.additions
        if item.out:
            return Response(to_json({"text": output.text[item.sent :], **rest}) + b"\n", LINES)
        return Response(to_json({"text": output.text, **rest}))
