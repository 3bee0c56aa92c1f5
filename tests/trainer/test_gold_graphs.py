"""Human scene graphs as STSGs: read from the exact formats, refused where damaged, and used to score induced graphs."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from model.stsg import SceneGraph
from tests.trainer.benchmark_files import STAR, write
from trainer.benchmarks.files import BenchmarkError
from trainer.benchmarks.gold import action_genome, pvsg, score, star
from trainer.benchmarks.gold.build import Act, Fact, Thing, build

NAMES = "object_bbox_and_relationship.pkl"


def thing(name, tag, *, visible=True, attention=(), spatial=(), contact=()):
    return {
        "class": name,
        "bbox": (1.0, 2.0, 3.0, 4.0) if visible else None,
        "attention_relationship": list(attention) if visible else None,
        "spatial_relationship": list(spatial) if visible else None,
        "contacting_relationship": list(contact) if visible else None,
        "visible": visible,
        "metadata": {"tag": tag, "set": "train"},
    }


GENOME = {
    "001YG.mp4/000001.png": [
        thing("book", "t", attention=["looking_at"], spatial=["in_front_of"], contact=["holding", "touching"]),
        thing("cup/glass/bottle", "t", visible=False),
    ],
    "001YG.mp4/000031.png": [thing("book", "t", attention=["not_looking_at"], contact=["holding"])],
    "001YG.mp4/000061.png": [thing("cup/glass/bottle", "t", attention=["unsure"], contact=["drinking_from"])],
    "50N4E.mp4/000010.png": [],
}


def relations(graph: SceneGraph):
    name = {o.id: o.name for o in graph.objects}
    return {(name[r.subject], r.predicate, name[r.object], r.t_start, r.t_end) for r in graph.relations}


def test_action_genome_becomes_a_graph_with_times_directions_and_without_what_says_nothing(tmp_path):
    (tmp_path / NAMES).write_bytes(pickle.dumps(GENOME, protocol=2))
    found = action_genome.read(tmp_path)
    assert sorted(found) == ["001YG", "50N4E"]
    graph = action_genome.graph(found["001YG"], fps=30)
    assert relations(graph) == {
        ("person", "looking at", "book", 0, 1),
        ("book", "in front of", "person", 0, 1),
        ("person", "holding", "book", 0, 2),
        ("person", "touching", "book", 0, 1),
        ("person", "drinking from", "cup/glass/bottle", 2, 3),
    }
    turned = action_genome.graph(found["001YG"], fps=30, spatial_from="person")
    assert ("person", "in front of", "book", 0, 1) in relations(turned)
    assert {o.name: (o.t_start, o.t_end) for o in graph.objects} == {
        "person": (0, 3),
        "book": (0, 2),
        "cup/glass/bottle": (2, 3),
    }
    assert action_genome.graph(found["50N4E"], fps=30) == SceneGraph()


def test_a_pickle_may_hold_arrays_and_nothing_that_runs(tmp_path):
    path = tmp_path / NAMES
    for protocol in range(2, 6):
        boxes = {"V.mp4/000001.png": [thing("book", "t") | {"bbox": np.float32([[1, 2, 3, 4]]), "seen": {1, 2}}]}
        path.write_bytes(pickle.dumps(boxes, protocol=protocol))
        assert action_genome.read(tmp_path)["V"][1][0]["bbox"].tolist() == [[1, 2, 3, 4]]

    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    path.write_bytes(pickle.dumps({"V.mp4/000001.png": [Runs()]}))
    with pytest.raises(BenchmarkError, match=r"posix.system, which is no plain data"):
        action_genome.read(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"no pickle", "can't be read"),
        (pickle.dumps(GENOME)[:-100], "can't be read"),
        (pickle.dumps([1, 2]), "no annotations by frame"),
        (pickle.dumps({"V.mp4/x.png": []}), "of another form"),
        (pickle.dumps({"V.mp4/000001.png": [{"class": "book"}]}), "of another form"),
        (pickle.dumps({"V.mp4/000001.png": 5}), "of another form"),
    ],
)
def test_pickles_that_cannot_be_read_are_refused_with_a_remedy(content, says, tmp_path):
    with pytest.raises(BenchmarkError, match="There is no"):
        action_genome.read(tmp_path)
    (tmp_path / NAMES).write_bytes(content)
    with pytest.raises(BenchmarkError, match=says) as refused:
        action_genome.read(tmp_path)
    assert "Action Genome" in refused.value.remedy


PVSG = {
    "objects": {"thing": ["adult", "ball"], "stuff": ["floor"]},
    "relations": ["holding", "on"],
    "split": {"vidor": {"train": ["0001"], "val": []}, "epic_kitchen": {"train": [], "val": []}},
    "data": [
        {
            "video_id": "0001",
            "meta": {"num_frames": 50, "fps": 5},
            "objects": [
                {"object_id": n, "category": c, "is_thing": True, "status": []}
                for n, c in ((1, "adult"), (2, "adult"), (3, "ball"), (4, "floor"))
            ],
            "relations": [[1, 3, "holding", [[0, 9], [20, 24]]], [2, 4, "on", [[0, 49]]]],
        }
    ],
}


def test_pvsg_becomes_a_graph_with_things_of_one_category_told_apart(tmp_path):
    write(tmp_path / "pvsg.json", PVSG)
    graph = pvsg.graph(pvsg.read(tmp_path)["0001"])
    assert [o.name for o in graph.objects] == ["adult 1", "adult 2", "ball", "floor"]
    assert relations(graph) == {
        ("adult 1", "holding", "ball", 0, 2),
        ("adult 1", "holding", "ball", 4, 5),
        ("adult 2", "on", "floor", 0, 10),
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"objects"', "cut off"),
        ({"data": []}, "lacks one of"),
        (PVSG | {"data": PVSG["data"] * 2}, "twice"),
        (PVSG | {"relations": ["on"]}, "has the relation"),
        (PVSG | {"data": [{"video_id": "0001"}]}, "no 'objects'"),
        (PVSG | {"data": [7]}, "of another form"),
    ],
)
def test_a_pvsg_file_that_is_wrong_is_refused(content, says, tmp_path):
    write(tmp_path / "pvsg.json", content)
    with pytest.raises(BenchmarkError, match=says):
        pvsg.read(tmp_path)


def classes(folder):
    write(folder / "action_classes.txt", "a004 tidy some clothes\na012 hold a phone/camera\n")
    write(folder / "object_classes.txt", "o000 person\no014 phone/camera\no019 clothes\n")
    write(folder / "relationship_classes.txt", "r002 in_front_of\nr009 holding\n")
    write(folder / "verb_classes.txt", "v004 hold\nv012 tidy\n")
    write(folder / "action_mapping.txt", "a004 v012 o019\na012 v004 o014\n")
    return star.Words(folder)


def test_stars_situations_become_a_graph_with_the_persons_actions_as_motions(tmp_path):
    frames = star.situations([STAR])["V1"]
    graph = star.graph(frames, 30, classes(tmp_path))
    assert relations(graph) == {
        ("person", "holding", "clothes", 0, 1),
        ("clothes", "in front of", "person", 0, 1),
        ("person", "holding", "phone/camera", 1, 2),
    }
    person = [o for o in graph.objects if o.category == "person"]
    assert [(o.kind, o.t_start, o.t_end) for o in person] == [("dynamic", 0, 1), ("dynamic", 1, 2)]
    assert {(m.predicate, m.target, m.t_start, m.t_end) for m in graph.motions} == {
        ("tidy", "clothes", 0, 2),
        ("hold", "phone/camera", 1, 2),
    }
    assert {(m.start, m.end) for m in graph.motions} == {(person[0].id, person[1].id)}
    plain = {"000001": STAR["situations"]["000001"] | {"actions": ["Holding a phone"], "rel_labels": ["on", "on"]}}
    assert {m.predicate for m in star.graph(plain, 30, star.Words()).motions} == {"holding a phone"}


def test_star_without_situations_or_classes_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="has no situations"):
        star.situations([{k: v for k, v in STAR.items() if k != "situations"}])
    with pytest.raises(BenchmarkError, match=r"There is no .*action_classes"):
        star.Words(tmp_path)
    odd = {"000001": STAR["situations"]["000001"] | {"rel_labels": []}}
    with pytest.raises(BenchmarkError, match="other numbers of pairs"):
        star.graph(odd, 30, star.Words())


def test_frame_rates_are_read_from_stars_pickle(tmp_path):
    path = tmp_path / "video_fps"
    path.write_bytes(pickle.dumps({"BE43L.mp4": 29.97, "D548M.mp4": 30.0}, protocol=2))
    assert star.rates(path) == {"BE43L": 29.97, "D548M": 30.0}
    path.write_bytes(pickle.dumps({"BE43L.mp4": "fast"}))
    with pytest.raises(BenchmarkError, match="no frame rates"):
        star.rates(path)


CLIPS = ((0.0, 2.0), (2.0, 4.0))


def small():
    things = [Thing("p", "person", ((0, 4),)), Thing("b", "cup/glass/bottle", ((0, 3),)), Thing("d", "dog", ((3, 4),))]
    facts = [Fact("p", "in_front_of", "b", ((1, 3),)), Fact("p", "holding", "d", ((0, 4),))]
    return build(things, facts, [Act("p", "drink", "", (0, 1))], CLIPS)


def test_a_gold_graph_can_be_cut_into_clips_with_references_between_them():
    graph = small()
    assert [(o.clip, o.category, o.kind) for o in graph.objects] == [
        (0, "person", "dynamic"),
        (0, "person", "dynamic"),
        (0, "cup/glass/bottle", "static"),
        (1, "person", "static"),
        (1, "cup/glass/bottle", "static"),
        (1, "dog", "static"),
    ]
    assert relations(graph) == {
        ("person", "in_front_of", "cup/glass/bottle", 1, 2),
        ("person", "in_front_of", "cup/glass/bottle", 2, 3),
        ("person", "holding", "dog", 2, 4),
    }
    assert [(r.here, r.there) for r in graph.references] == [
        ("c0/k1/person/0", "c1/k0/person/0"),
        ("c0/k0/cup/glass/bottle/1", "c1/k0/cup/glass/bottle/1"),
    ]


def test_a_thing_is_the_same_in_every_two_clips_as_bridging_has_it():
    graph = build([Thing("d", "dog", ((0, 6),))], [], [], [(0, 2), (2, 4), (4, 6)])
    assert {(r.here, r.there) for r in graph.references} == {
        (f"c{one}/k0/dog/0", f"c{two}/k0/dog/0") for one, two in ((0, 1), (0, 2), (1, 2))
    }


def test_an_induced_graph_is_scored_in_the_gold_sets_words():
    gold = small()
    words = score.Words.of([gold])
    scores, outside = score.score(gold, gold, words)
    assert {k: s.f1 for k, s in scores.items()} == dict.fromkeys(score.KINDS, 1.0) and not any(outside.values())
    own = {"cup/glass/bottle": "Cup", "dog": "zebra"}
    renamed = replace(gold, objects=tuple(replace(o, category=own.get(o.category, o.category)) for o in gold.objects))
    wrong = replace(renamed, relations=tuple(replace(r, predicate="in front of") for r in renamed.relations))
    scores, outside = score.score(wrong, gold, words)
    assert (scores["objects"].precision, scores["objects"].recall, outside["objects"]) == (1.0, 0.8, 1)
    assert (scores["relations"].hits, scores["relations"].found, outside["relations"]) == (2, 2, 1)
    none, _ = score.score(SceneGraph(), gold, words)
    assert all(s.recall == 0 for s in none.values())
