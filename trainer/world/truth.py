"""The true STSG of a scene, in the shape that the induction gives (STEP Sec. 3.1)."""

from model.stsg import Attribute, Event, Motion, ObjectNode, Reference, Relation, SceneGraph
from trainer.world.scene import Scene, SceneClip, Thing, relation


def truth(scene: Scene) -> SceneGraph:
    """What a perfect induction finds: a moving thing has two states and a motion between them."""
    graph = SceneGraph()
    for index, (clip, start) in enumerate(zip(scene.clips, scene.starts(), strict=True)):
        graph |= _clip_graph(clip, index, start)
    references = tuple(
        Reference(_id(i, a, 1 if a.moves else 0), _id(j, b, 0))
        for i, one in enumerate(scene.clips)
        for j, two in enumerate(scene.clips[i + 1 :], i + 1)
        for a in one.things
        for b in two.things
        if a.is_same_as(b)
    )
    return graph | SceneGraph(references=references)


def _clip_graph(clip: SceneClip, index: int, start: float) -> SceneGraph:
    end, middle = start + clip.seconds, start + clip.seconds / 2
    objects, motions, relations = [], [], []
    for thing in clip.things:
        spans = ((start, middle), (middle, end)) if thing.moves else ((start, end),)
        states = [_state(thing, index, state, *span) for state, span in enumerate(spans)]
        objects += states
        if thing.moves:
            motions.append(Motion(states[0].id, states[1].id, thing.action, "", index, start, end))
        for other in clip.things:
            if other is not thing:
                here, there = _id(index, thing, 0), _id(index, other, 0)
                relations.append(Relation(here, relation(thing, other), there, index, start, end))
    return SceneGraph(
        tuple(objects), tuple(relations), tuple(motions), events=(Event(index, clip.event(), start, end),)
    )


def _state(thing: Thing, clip: int, state: int, start: float, end: float) -> ObjectNode:
    return ObjectNode(
        id=_id(clip, thing, state),
        category=thing.shape,
        mark=thing.color,
        kind="dynamic" if thing.moves else "static",
        clip=clip,
        t_start=start,
        t_end=end,
        keyframes=(),
        attributes=(Attribute("color", thing.color), Attribute("size", thing.size)),
    )


def _id(clip: int, thing: Thing, state: int) -> str:
    return f"c{clip}/k{state}/{thing.shape}/{thing.color}"
