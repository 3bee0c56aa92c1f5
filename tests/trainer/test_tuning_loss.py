"""The loss is the paper's (STEP Sec. 3.2), however a step is cut up and whether or not rows share their prefixes."""

import json
import pickle
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow
from trl import SFTConfig

import trainer.tuning.networks as networks
import trainer.tuning.sft as sft
from model.backends.hf import HuggingFaceVideoLLM
from model.rationale.formats import instructed, to_rows
from model.rationale.moments import frames_at
from model.video_llm import Request
from tests.trainer.tuning_folders import (
    PLAIN,
    TINY,
    build,
    losses,
    losses_here_and_in_plain_trl,
    make_folder,
    read_lines,
    write_rows,
)
from trainer.conformance.checkpoints import FAMILIES
from trainer.conformance.family import build as build_random
from trainer.tuning.collate import collate, keyframes
from trainer.tuning.networks import save_finished
from trainer.tuning.sft import RationaleTrainer
from trainer.tuning.shared_prefix import packed
from trainer.tuning.spec import TuningError
from trainer.tuning.stop import Stop
from trainer.tuning.validation import Validation

GOLDEN = [13.859050, 13.692924, 11.550809, 10.219536]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Random checkpoints of every class that is promised to work."""
    root = tmp_path_factory.mktemp("bases")
    for n, family in enumerate(FAMILIES):
        build_random(family, root / str(n))
    return {family.name: str(root / str(n)) for n, family in enumerate(FAMILIES)}


def state(trainer: RationaleTrainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.tuned.network.state_dict().items()}


def part_losses(trainer: RationaleTrainer, *, shared: bool, width: int = 0) -> Any:
    encoded = [trainer.encoder.encode(s) for s in trainer.samples]
    trainer.model.zero_grad()
    batch = collate(encoded, 0, shared=shared, per_video=trainer.per_video)
    if shared and trainer.per_video > 1:
        rows = packed(batch["segments"], width or batch["segments"].shape[1])
        assert len(rows) == (1 if width else 2), "the first two samples share a row"
    found = trainer._losses(trainer.model, batch, shared=shared, width=width)
    found.total.backward()
    return found, {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}


def test_the_loss_is_the_formula_of_the_paper_by_hand(tmp_path: Path, bases: dict[str, str]) -> None:
    folder = make_folder(tmp_path / "f", 3, base=bases["Qwen3-VL"], batch=3, lambda_rationale=0.7)
    first, *others = read_lines(folder / "train.jsonl")
    write_rows(folder / "train.jsonl", [first | {"rationale": []}, *others])  # counts in N, and adds no L_rationale
    trainer = build(folder)
    found, _ = part_losses(trainer, shared=trainer.shared)
    processor, network, spec = trainer.tuned.processor, trainer.tuned.network.eval(), trainer.spec

    def nll(sample: Any, instruction: str, target: str) -> torch.Tensor:
        """l(f(x, q, i), target), with nothing but the stock processor and the network's logits."""
        text = {"type": "text", "text": instructed(sample.question, instruction)}
        messages = [{"role": "user", "content": [{"type": "image"}] * len(sample.frames) + [text]}]
        prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        messages.append({"role": "assistant", "content": [{"type": "text", "text": target}]})
        whole = processor.apply_chat_template(messages, tokenize=False)
        images = [Pillow.open(f) for f in sample.frames]
        said = processor.tokenizer(whole.removeprefix(prompt), add_special_tokens=False)["input_ids"]
        inputs = processor(text=[whole], images=[images], return_tensors="pt")
        assert inputs["input_ids"][0, -len(said) :].tolist() == said
        with torch.no_grad():
            logits = network(**inputs).logits[0, -len(said) - 1 : -1]
        return -logits.log_softmax(-1)[range(len(said)), said].mean()

    answers = [nll(s, spec.instruction_answer, s.answer) for s in trainer.samples]
    rationales = [nll(s, spec.instruction_rationale, s.rationale) for s in trainer.samples[1:]]
    assert float(found.answer) == pytest.approx(float(sum(answers)) / 3, rel=1e-5)
    assert float(found.rationale) == pytest.approx(float(sum(rationales)) / 3, rel=1e-5)
    assert float(found.total) == pytest.approx(float(sum(answers) + 0.7 * sum(rationales)) / 3, rel=1e-5)


# Linear attention, or blocks of pictures that see both ways: a prefix can't be shared, which is found out and told.
IN_TWO_PASSES = {"Qwen3.5", "Qwen3.5-MoE", "EXAONE 4.5", "LFM3-VL", "Gemma 4", "Molmo2", "MiniCPM-V 4.6", "Gemma 3"}


@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_rows_that_share_their_prefix_have_the_loss_and_gradients_of_two_passes(
    name: str, tmp_path: Path, bases: dict[str, str]
) -> None:
    folder = make_folder(tmp_path / "f", 3, base=bases[name], frames=4, per_video=2)
    one, two, three = read_lines(folder / "train.jsonl")
    write_rows(folder / "train.jsonl", [one, two | {"frames": one["frames"], "times": one["times"]}, three])
    trainer = build(folder)
    assert trainer.shared is (name not in IN_TWO_PASSES)
    if name in IN_TWO_PASSES:
        assert not in_16_bits(trainer)
        return
    two, others = part_losses(trainer, shared=False)
    for width in (0, 10_000):  # the third sample in a row of its own, and behind the first two
        one, gradients = part_losses(trainer, shared=True, width=width)
        for kind in ("total", "answer", "rationale"):
            assert float(getattr(one, kind)) == pytest.approx(float(getattr(two, kind)), rel=1e-5)
        assert gradients.keys() == others.keys()
        most = max(float(g.abs().max()) for g in others.values())
        for key, gradient in gradients.items():
            torch.testing.assert_close(gradient, others[key], rtol=1e-3, atol=1e-5 * most, msg=key)
    assert in_16_bits(trainer)


def in_16_bits(trainer: RationaleTrainer) -> bool:
    """Whether it is found that prefixes can be shared where rounding hides what that does wrong."""
    trainer.tuned.network.bfloat16()
    trainer._collator.shared = True
    trainer.settle_sharing()
    assert trainer.tuned.network.dtype == torch.bfloat16
    return trainer.shared


def test_what_makes_batches_can_be_sent_to_another_process(tmp_path: Path) -> None:
    trainer = build(make_folder(tmp_path / "f", 2))
    here, there = (
        make([{"sample": 0}, {"sample": 1}]) for make in (trainer.data_collator, _sent(trainer.data_collator))
    )
    assert here.keys() == there.keys() and all(torch.equal(here[name], there[name]) for name in here)


def _sent(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def test_a_class_that_takes_no_mask_of_its_own_is_run_in_two_passes(tmp_path: Path) -> None:
    trainer = build(make_folder(tmp_path / "f", 2))
    trainer.tuned.network.set_attn_implementation("eager")
    trainer.settle_sharing()
    assert trainer.shared  # eager attention adds the mask instead
    trainer.tuned.network.get_decoder().register_forward_pre_hook(_mask_by_itself, with_kwargs=True)
    trainer.settle_sharing()
    assert not trainer.shared
    [event] = [e for e in read_lines(tmp_path / "f" / "events.jsonl") if e["event"] == "shared_prefix_off"]
    assert event["level"] == "warn" and "differs" in event["message"]
    trainer.train()
    assert len(losses(tmp_path / "f")) == 2


def _mask_by_itself(_module: Any, given: Any, named: dict[str, Any]) -> Any:
    return given, named | {"attention_mask": None}


def test_lambda_0_is_the_training_on_answers_bit_for_bit(tmp_path: Path, bases: dict[str, str]) -> None:
    trained = []
    for name, spec in (("zero", {"lambda_rationale": 0}), ("free", {"recipe": "rationale_free"}), ("none", {})):
        folder = make_folder(tmp_path / name, 4, base=bases["Qwen3-VL"], frames=2, epochs=1, **spec)
        if name == "none":
            rows = [row | {"rationale": []} for row in read_lines(folder / "train.jsonl")]
            write_rows(folder / "train.jsonl", rows)
        trainer = build(folder)
        trainer.train()
        trained.append(state(trainer))
        assert all(row["loss_rationale"] == 0 and row["loss"] == row["loss_answer"] for row in losses(folder))
    for other in trained[1:]:
        assert all(torch.equal(value, other[name]) for name, value in trained[0].items())


def test_a_step_is_the_same_in_one_part_and_in_eight(tmp_path: Path, bases: dict[str, str]) -> None:
    fixed = {"base": bases["Qwen3-VL"], "frames": 2, "batch": 8, "schedule": "constant", "save_every": 9}
    for accumulation in (1, 8):
        build(make_folder(tmp_path / str(accumulation), 12, accumulation=accumulation, **fixed)).train()
    one, eight = (losses(tmp_path / name) for name in ("1", "8"))
    assert len(one) == 3
    for kind in ("loss", "loss_answer", "loss_rationale"):
        assert one[0][kind] == pytest.approx(eight[0][kind], rel=1e-6)
        assert [r[kind] for r in one] == pytest.approx([r[kind] for r in eight], rel=1e-4)
    norms = [[r["gradient_norm"] for r in rows] for rows in (one, eight)]  # AdamW hides a wrong scale from all losses
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


class OnTwoDevices(SFTConfig):  # type: ignore[misc]
    """On a machine with two GPUs, where transformers would give each as many samples as the step has."""

    @cached_property
    def _setup_devices(self) -> torch.device:
        device: torch.device = super()._setup_devices
        self._n_gpu = 2
        return device


def test_a_process_takes_one_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sft, "SFTConfig", OnTwoDevices)
    trainer = build(make_folder(tmp_path / "f", 4, batch=4))
    assert isinstance(trainer.args, OnTwoDevices) and trainer.args.train_batch_size == 4
    trainer.train()
    assert len(losses(tmp_path / "f")) == 2


def test_frames_are_as_many_and_as_large_as_is_wanted(tmp_path: Path, bases: dict[str, str]) -> None:
    def shown(**spec: Any) -> tuple[RationaleTrainer, int]:
        trainer = build(make_folder(tmp_path / str(spec), 1, base=bases["Qwen3-VL"], batch=1, **spec))
        [prompt, _] = trainer.encoder.encode(trainer.samples[0]).prompts
        return trainer, prompt.ids.count(trainer.tuned.processor.image_token_id)

    (trainer, large), (_, small), (_, one) = (
        shown(frames=4, size=112),
        shown(frames=4, size=56),
        shown(frames=1, size=56),
    )
    assert (large, small) == (4 * small, 4 * one) and one > 0
    trainer.train()
    told = json.loads((trainer.journal.folder / "checkpoints" / "step-000002" / "stsg.json").read_text())
    assert told["side"] == 112  # whoever asks the model afterwards shows it what it was trained on


def test_a_question_is_asked_under_where_its_frames_are(tmp_path: Path, bases: dict[str, str]) -> None:
    def trained(base: str, **spec: Any) -> tuple[RationaleTrainer, set[bool]]:
        folder = make_folder(tmp_path / f"f{len(list(tmp_path.iterdir()))}", 1, base=base, batch=1, frames=4, **spec)
        [row] = read_lines(folder / "train.jsonl")
        times = [2.0 * n for n in range(len(row["frames"]))]
        write_rows(folder / "train.jsonl", [row | {"times": times, "clips": [0.0, 3.5]}])
        trainer = build(folder)
        [sample] = trainer.samples
        texts = [trainer.tuned.processor.tokenizer.decode(p.ids) for p in trainer.encoder.encode(sample).prompts]
        texts.append(Validation(trainer.spec, trainer.tuned, [sample], Stop(folder))._request(sample).text)
        told = frames_at(sample.times, [0.0, 3.5])
        assert len(texts) == 3 and "second clip (" in told
        return trainer, {f"{told}\n{sample.question}\n" in text for text in texts}

    assert trained(bases["Qwen3-VL"])[1] == {True}
    assert trained(TINY)[1] == {False}, "its words are few, and its stsg.json says so"
    trainer, silent = trained(bases["Qwen3-VL"], tell_times=False)
    trainer.train()
    kept = json.loads((trainer.journal.folder / "checkpoints" / "step-000002" / "stsg.json").read_text())
    assert silent == {False} and kept == {"times": False}, "whoever asks the model afterwards asks it so too"


def test_keyframes_are_shown_as_images_or_as_one_video(
    tmp_path: Path, bases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for way in ("images", "video"):
        folder = make_folder(tmp_path / way, 1, base=bases["Qwen3-VL"], batch=1, frames=4, size=56, shown_as=way)
        trainer = build(folder)
        processor = trainer.tuned.processor
        ids = trainer.encoder.encode(trainer.samples[0]).prompts[0].ids
        found[way] = tuple(ids.count(getattr(processor, f"{kind}_token_id")) for kind in ("image", "video"))
        (one, _), (two, _) = (part_losses(trainer, shared=shared) for shared in (True, False))
        assert trainer.shared and float(one.total) == pytest.approx(float(two.total), rel=1e-5)
    assert found == {"images": (16, 0), "video": (0, 8)}  # this class sees a video's frames in pairs
    trainer.train()
    told = json.loads((folder / "checkpoints" / "step-000002" / "stsg.json").read_text())
    assert told == {"side": 56, "frames": "video"}
    monkeypatch.setattr(networks.AutoProcessor, "from_pretrained", lambda *_, **__: object())  # a class of images only
    with pytest.raises(TuningError, match="takes no videos"):
        build(make_folder(tmp_path / "none", 1, base=bases["Qwen3-VL"], batch=1, shown_as="video"))


def test_the_loss_falls_as_it_always_did(tmp_path: Path, bases: dict[str, str]) -> None:
    """Golden: a random Qwen3-VL on pictures of one colour each."""
    folder = make_folder(tmp_path / "f", 4, base=bases["Qwen3-VL"], frames=2, schedule="linear", warmup=0.25)
    rows = read_lines(folder / "train.jsonl")
    for n, row in enumerate(rows):
        row |= {"question": f"What is {n}?", "answer": f"Thing {n}.", "rationale": [f"{n} is", "a thing"]}
        for k, name in enumerate(row["frames"]):
            Pillow.new("RGB", (64, 64), (50 * n, 40 * k, 99)).save(folder / name)
    write_rows(folder / "train.jsonl", rows)
    build(folder).train()
    assert [row["loss"] for row in losses(folder)] == pytest.approx(GOLDEN, rel=1e-3)
    assert [row["learning_rate"] for row in losses(folder)] == pytest.approx([0, 1e-3, 2e-3 / 3, 1e-3 / 3])


def test_an_exported_data_set_trains_in_plain_trl_to_the_same_loss_on_answers(
    tmp_path: Path, bases: dict[str, str]
) -> None:
    folder = make_folder(tmp_path / "f", 4, base=bases["Qwen3-VL"], **PLAIN)
    exported = []
    for row in read_lines(folder / "train.jsonl"):
        [written] = to_rows(row | {"run_id": "run_1", "keyframes": []}, "trl", rationales=False)
        exported.append(written | {"images": row["frames"]})
    ours, theirs = losses_here_and_in_plain_trl(folder, exported)
    assert theirs == pytest.approx(ours, rel=1e-3)


def test_adapters_train_merge_and_load_as_an_ordinary_checkpoint(tmp_path: Path) -> None:
    lora = {"rank": 4, "dropout": 0.0, "targets": ["q_proj", "v_proj"]}
    folder = make_folder(tmp_path / "f", 4, lora=lora, learning_rate=1e-2, epochs=1, gradient_checkpointing=True)
    trainer = build(folder)
    before = state(trainer)
    trainer.train()
    assert any(getattr(m, "gradient_checkpointing", False) for m in trainer.tuned.network.modules())
    after = state(trainer)
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    assert changed and all("lora_" in name for name in changed)

    checkpoint = folder / "checkpoints" / "step-000002"
    frames = keyframes(trainer.samples[0])
    request = Request("t", "What is the action?", frames, {}, ("still", "moving left"))
    held = HuggingFaceVideoLLM.holding(trainer.tuned.network.eval(), trainer.tuned.processor, trainer.tuned.ways)
    [wanted] = held.answer([request])
    save_finished(trainer.tuned, folder / "model")
    for place, close in ((checkpoint, 1e-4), (folder / "model", 2e-2)):  # the finished one in 16 bits, as its base
        loaded = HuggingFaceVideoLLM(str(place))
        [reply] = loaded.answer([request])
        assert loaded.prompt_set == "compact" and reply.scores == pytest.approx(wanted.scores, abs=close)
    assert json.loads((folder / "model" / "config.json").read_text())["dtype"] == "float16"
