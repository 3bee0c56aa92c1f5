"""The shapes of requests and replies under /v1. Unknown fields and loose types are refused, naming the field."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from model.rationale.qra import FAMILIES, Family, Form
from model.rationale.walk import EdgeKind
from trainer.evaluation.catalogue import BENCHMARKS

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Seed = Annotated[int, Field(ge=0, lt=2**31, description="The same seed gives the same result.")]
Id = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_-]+$")]


class Body(BaseModel):
    """A request's body: strict."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _take_whole_numbers(cls, told: Any) -> Any:
        """Take 309.0 for 309, which JSON Schema makes no difference between."""
        return {name: _whole(value) for name, value in told.items()} if isinstance(told, dict) else told


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Splitting(Body):
    """How a video is cut into clips and keyframes (STEP Sec. 3.1, Visual Splitting); times in seconds."""

    min_clip: Annotated[float, Field(strict=False, ge=0, le=60)] = 0.5
    max_clip: Annotated[float, Field(strict=False, ge=1, le=600)] = 30.0
    keyframe_every: Annotated[float, Field(strict=False, ge=0.1, le=600)] = 4.0
    min_keyframes: Annotated[int, Field(ge=1, le=32)] = 2
    max_keyframes: Annotated[int, Field(ge=1, le=32)] = 8
    max_side: Annotated[int, Field(ge=16, le=2048, description="Of a keyframe, in pixels.")] = 512


class Switches(Body):
    """Which stages of the induction run (STEP Table 4), and how the video is split; unset ones suit the model."""

    splitting: bool = True
    parsing: bool = True
    verification: bool = True
    merging: bool = True
    bridging: bool = True
    splitting_options: Splitting = Splitting()


class RunRequest(Body):
    """Which Video-LLM makes the graph, with which stages."""

    model: Annotated[str, Field(max_length=200, description="A name in STSG_MODELS; empty is the default.")] = ""
    options: Switches = Switches()
    seed: Seed = 0


class EvaluationRequest(Body):
    """Which model is asked which questions, and how it gives its answers."""

    model: Annotated[str, Field(max_length=200, description="Empty is the default model.")] = ""
    benchmark: Annotated[
        str, Field(max_length=200, description="Which questions.", json_schema_extra={"enum": list(BENCHMARKS)})
    ] = "world"
    mode: Annotated[Literal["direct", "rationale"], Field(description="The answer at once, or a rationale first.")] = (
        "direct"
    )
    samples: Annotated[int | None, Field(ge=1, description="How many questions; all by default.")] = None
    seed: Seed = 0


Weight = Annotated[float, Field(ge=0, le=1e6)]


class PolishRequest(Body):
    """What a Video-LLM's language side does with the samples: rewrite them, and answer them without the video."""

    model: Annotated[str, Field(max_length=300, description="Who does it; empty for the default model.")] = ""
    rewrite: Annotated[bool, Field(description="Say each sample in other words, where nothing is lost by it.")] = True
    blind: Annotated[int, Field(ge=0, le=3, description="How often each question is asked without frames.")] = 0
    drop_blind: Annotated[bool, Field(description="Leave out samples that are answered so every time.")] = False

    @model_validator(mode="after")
    def _asked(self) -> Self:
        if self.drop_blind and not self.blind:
            raise ValueError("drop_blind needs blind of 1 to 3")
        return self


class QraRequest(Body):
    """Which graphs to sample, how many samples of each number of reasoning steps, and of what kinds."""

    runs: Annotated[list[Id], Field(min_length=1, max_length=10_000)]
    steps: Annotated[
        dict[Annotated[str, Field(pattern=r"^([1-9]|1[0-9]|20)$")], Annotated[int, Field(ge=0, le=1_000_000)]],
        Field(
            min_length=1,
            description='Samples per number of steps, such as {"1": 10, "3": 50}.',
            json_schema_extra={"additionalProperties": False},
        ),
    ]
    families: Annotated[
        dict[Family, Weight], Field(description="Weights of what is asked about; equal by default.")
    ] = dict.fromkeys(FAMILIES, 1.0)
    forms: Annotated[dict[Form, Weight], Field(description="Weights of how the answer is given.")] = {
        "open": 0.6,
        "yes_no": 0.15,
        "choice": 0.15,
        "count": 0.1,
    }
    polish: PolishRequest | None = None
    edges: Annotated[
        dict[EdgeKind, Weight],
        Field(description="Weights of the kinds of edge that deepen questions; none: all alike."),
    ] = {}
    temporal: Annotated[float, Field(ge=0, le=1, description="Share whose clip is told by an event or a time.")] = 0.4
    seed: Seed = 0
    name: Annotated[str, Field(max_length=200)] = ""

    @field_validator("families", "forms", "edges")
    @classmethod
    def _something(cls, weights: dict[str, float], told: ValidationInfo) -> dict[str, float]:
        if not sum(weights.values()) and (weights or told.field_name != "edges"):
            raise ValueError("at least one weight must be more than 0")
        return weights


class Failure(BaseModel):
    """Why a job ended as it did, and what to do about it."""

    code: str
    detail: str
    remedy: str = ""


class Job(BaseModel):
    """What every piece of work in the background tells of itself."""

    id: str
    state: State
    stage: str | None = None
    done: int = 0
    total: int = 0
    error: Failure | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Run(Job):
    """One making of one video's graph."""

    object: Literal["run"] = "run"
    video_id: str
    model: str
    prompts: str | None = None
    options: dict[str, Any]
    seed: int
    counts: dict[str, int] = {}


class Video(BaseModel):
    """A stored video."""

    object: Literal["video"] = "video"
    id: str
    name: str
    sha256: str
    size: int
    duration: float
    fps: float
    width: int
    height: int
    frames: int
    codec: str
    rotation: int | None = Field(None, description="Degrees clockwise that turn the stored picture upright.")
    mirrored: bool | None = Field(None, description="Whether left and right change places before it is turned.")
    pixel_aspect: float | None = Field(None, description="Width of a stored pixel by its height.")
    interlaced: bool | None = None
    transfer: Literal["sdr", "pq", "hlg"] | None = Field(None, description="How light is coded; pq and hlg are HDR.")
    bit_depth: int | None = Field(None, description="Bits of a sample.")
    created_at: datetime
    run: Run | None = None


class Event(BaseModel):
    """Something that happened in a run."""

    object: Literal["event"] = "event"
    id: int
    type: str
    created_at: datetime
    data: dict[str, Any]


class Keyframe(BaseModel):
    """A keyframe that runs chose; `url` is its image."""

    object: Literal["keyframe"] = "keyframe"
    id: str
    t: float
    url: str


class Reject(BaseModel):
    """How many replies to one prompt could not be used, for one reason."""

    step: str
    reason: str
    count: int


class Graph(BaseModel):
    """What a run's graph holds."""

    object: Literal["graph"] = "graph"
    id: str
    run_id: str
    video_id: str
    state: State
    counts: dict[str, int]
    rejects: list[Reject]
    browser_url: str
    guide_url: str


class Node(BaseModel):
    """A node of the graph."""

    object: Literal["node"] = "node"
    id: str
    labels: list[str]
    properties: dict[str, Any]


class Edge(BaseModel):
    """An edge of the graph; `source` and `target` are node ids."""

    object: Literal["edge"] = "edge"
    id: str
    type: str
    source: str
    target: str
    properties: dict[str, Any]


class QraDataset(Job):
    """An immutable snapshot of QRA samples, with its manifest."""

    object: Literal["qra_dataset"] = "qra_dataset"
    name: str
    runs: list[str]
    steps: dict[str, int]
    seed: int
    count: int = 0
    by_steps: dict[str, int] = {}
    by_family: dict[str, int] = {}
    by_form: dict[str, int] = {}
    missing: Annotated[dict[str, int], Field(description="By steps, how many fewer there are than were wanted.")] = {}
    missing_by_family: Annotated[
        dict[str, dict[str, int]],
        Field(description="By family and steps, how many fewer there are than its weight asked for."),
    ] = {}
    missing_by_form: Annotated[
        dict[str, int],
        Field(description="By form, how many fewer there are than its weight asked for in each family that has it."),
    ] = {}
    rejects: dict[str, int] = {}
    guessing: Annotated[
        dict[str, dict[str, dict[str, float]]],
        Field(description="By family and form, how often a guess from the question's words is right, and by chance."),
    ] = {}
    polish: dict[str, Any] = {}


class Floor(BaseModel):
    """What a guesser scores who sees which things a video holds, and how far the answers are above it."""

    in_video: Annotated[float, Field(description="A guess among the things of the whole video.")]
    in_clip: Annotated[float, Field(description="A guess among the things of the answer's clip.")]
    skill: Annotated[float, Field(description="(accuracy - in_video) / (1 - in_video): 0 is guessing, 1 is all right.")]
    skill_interval: tuple[float, float]
    unforced: Annotated[int, Field(description="Questions whose clip leaves more than one answer.")]
    unforced_correct: int


class StepScore(BaseModel):
    """The accuracy on questions of so many steps, with 95 % intervals, beside what is right without seeing."""

    count: int
    correct: int
    accuracy: float
    wilson: tuple[float, float]
    interval: Annotated[tuple[float, float], Field(description="Videos drawn anew.")]
    blind: Annotated[float, Field(description="The same model without frames.")]
    guessed: Annotated[float, Field(description="A training split's majority answer to the same phrasing.")]
    asked_after: Annotated[int, Field(description="Rationales that ended in no answer, which was then asked for.")]
    floor: Annotated[Floor | None, Field(description="Null for scores that were made before floors were kept.")] = None


class Evaluation(Job):
    """A benchmark's questions put to one model."""

    object: Literal["evaluation"] = "evaluation"
    model: str
    benchmark: str
    version: str
    mode: Literal["direct", "rationale"]
    samples: int
    seed: int
    scores: dict[str, StepScore] = {}


class QraRow(BaseModel):
    """One sample: a question, its rationale in solving order, the answer, and where all of it comes from."""

    model_config = ConfigDict(extra="allow")

    id: str
    question: str
    rationale: list[str]
    answer: str
    steps: int
