"""One tiny artifact for each further task on texts, with random weights and a tokenizer learned from a few lines."""

import json
import re
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForTokenClassification,
    BertModel,
    BertTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from handlers.networks.mean_pooling import MeanPoolingClassifier
from train.core.artifact import Artifact, Task
from train.text.subwords import as_pretrained, learn_subwords

LINES = [
    "The train to Zürich leaves from platform nine at noon.",
    "Marie Curie worked in Paris, and was born in Warsaw.",
    "Where is the station, and who will meet us there?",
    "Le train pour Genève part du quai trois à midi.",
]
TOPICS = ["travel", "people", "questions"]
KINDS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
LENGTH = 64


def word_pieces() -> BertTokenizer:
    """Of the lines' words and letters: what is learned from so few lines differs from run to run."""
    words = sorted({word for line in LINES for word in re.findall(r"\w+|[^\w\s]", line)})
    letters = sorted(set("".join(words)))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words])
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    return BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=LENGTH)


def bert(vocabulary: int, **labels: Any) -> BertConfig:
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LENGTH,
        initializer_range=0.3,  # answers that differ from text to text
        **labels,
    )


def named(labels: list[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}


def write(
    folder: Path, task: Task, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, sample: Any, labels: list[str]
) -> Path:
    weights = folder.with_name("weights")
    model.save_pretrained(weights)
    tokenizer.save_pretrained(weights)
    file = folder.with_name("sample.json")
    file.write_text(json.dumps(sample), encoding="utf-8")
    return Artifact(
        name=folder.name,
        task=task,
        format="huggingface",
        labels=labels,
        preprocessing={"max_length": LENGTH},
    ).write(folder, weights, file)


def topics(folder: Path) -> Path:
    """Multi-label, by our own head."""
    tokenizer = word_pieces()
    torch.manual_seed(0)
    model = MeanPoolingClassifier.of(
        BertModel(bert(len(tokenizer))), 16, problem_type="multi_label_classification", **named(TOPICS)
    )
    with torch.no_grad():
        model.get_parameter("head.4.weight").mul_(30)
    return write(folder, "text-classification", model, tokenizer, {"text": LINES[0]}, TOPICS)


def embedding(folder: Path) -> Path:
    tokenizer = word_pieces()
    torch.manual_seed(0)
    return write(folder, "text-embedding", BertModel(bert(len(tokenizer))), tokenizer, {"text": LINES[0]}, [])


def entities(folder: Path) -> Path:
    tokenizer = word_pieces()
    torch.manual_seed(22)  # several entities of both kinds in the sample
    model = BertForTokenClassification(bert(len(tokenizer), **named(KINDS)))
    with torch.no_grad():
        model.classifier.weight[0].zero_()  # nothing is certain to be outside
    return write(folder, "token-classification", model, tokenizer, {"text": LINES[1]}, KINDS)


def answers(folder: Path) -> Path:
    tokenizer = word_pieces()
    sample = {"question": "Where was she born?", "context": LINES[1]}
    torch.manual_seed(1)  # the best answers have several words
    return write(folder, "question-answering", BertForQuestionAnswering(bert(len(tokenizer))), tokenizer, sample, [])


def writer(folder: Path) -> Path:
    """Over bytes, so that its texts hold characters of several tokens, and bytes that make no character at all."""
    subwords = learn_subwords(LINES, 300)
    subwords.normalizer = None
    tokenizer = as_pretrained(subwords, LENGTH)
    tokenizer.add_special_tokens({"eos_token": "[END]"})
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
    configuration = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        initializer_range=0.5,  # as initialised it would write one token for ever
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    sample = {"text": LINES[2], "max_new_tokens": 4}
    torch.manual_seed(0)
    return write(folder, "text-generation", LlamaForCausalLM(configuration), tokenizer, sample, [])
