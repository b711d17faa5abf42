"""What a backbone sees in a picture lies where it belongs, is made only where it is asked for, and is kept."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from PromptSegLib.errors import Stopped
from PromptSegLib.progress import never
from PromptSegLib.register.located import Registrations
from PromptSegLib.register.picture import Region, mask_in, picture_of
from PromptSegLib.register.register import frame_of, register
from PromptSegLib.register.sampling import halved
from PromptSegLib.register.teachers import teacher_of
from PromptSegLib.register.views import KEPT, NOTHING, PLENTY, View, looks, principal
from PromptSegLib.session import Session


class Grey:
    """In a network's place: what it sees of a pixel is its grey value, as the slope of two features."""

    def __init__(self) -> None:
        self.slices = 0

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        self.slices += len(images)
        return images[..., images.shape[-1] // 2]

    def pixel_features(self, encoded: torch.Tensor, shared: object) -> torch.Tensor:
        return torch.stack([encoded + 2, torch.ones_like(encoded)], -1)


def backbone_of(net: Grey) -> SimpleNamespace:
    return SimpleNamespace(net=net, device=torch.device("cpu"), dtype=torch.float32, shared={})


@pytest.mark.parametrize("turned", [0.0, 12.0])
def test_features_lie_where_their_voxels_lie(kits, turned) -> None:
    picture = picture_of(kits.patient(turn=turned).volume)
    view = View(picture, backbone_of(Grey()))
    grey = torch.from_numpy(picture.grey.astype(np.float32))[None] / 127.5 + 1
    blocks = halved(grey)[0]
    found = view.at(view.frame.points())
    values = found[0] / found[1]
    inside = halved(torch.from_numpy(picture.body.astype(np.float32))[None])[0] > 0.99
    assert float(np.corrcoef(values[inside].numpy(), blocks[inside].numpy())[0, 1]) > 0.9
    # Half a block aside it is less alike, in every direction.
    for axis in range(3):
        for step in (-3.0, 3.0):
            points = view.frame.points()
            points[..., axis] += step
            beside = view.at(points)
            moved = (beside[0] / beside[1])[inside]
            assert float((moved - blocks[inside]).abs().mean()) > float((values[inside] - blocks[inside]).abs().mean())


def test_only_the_slices_that_are_asked_for_are_made_and_only_once(kits) -> None:
    net = Grey()
    view = View(picture_of(kits.patient().volume), backbone_of(net))
    some = view.frame.points()[4:7]
    first = view.at(some)
    assert net.slices == 3
    assert torch.equal(view.at(some), first)
    assert net.slices == 3
    view.at(view.frame.points())
    assert net.slices == view.frame.shape[0]


def test_beyond_the_picture_its_border_goes_on(kits) -> None:
    view = View(picture_of(kits.patient().volume), backbone_of(Grey()))
    corner = view.frame.points()[:1, :1, :1]
    assert torch.allclose(view.at(corner - 1000.0), view.at(corner))


def test_a_picture_of_one_slice_is_seen(kits) -> None:
    picture = picture_of(kits.patient().volume)
    thin = picture.cut((slice(5, 6), slice(0, picture.grey.shape[1]), slice(0, picture.grey.shape[2])))
    view = View(thin, backbone_of(Grey()))
    assert view.at(view.frame.points()).isfinite().all()


def test_what_stands_out_from_its_surroundings_is_told_apart(teacher) -> None:
    """Where the features are grey values: the bright aorta, and not an eighth of the trunk."""
    picture = picture_of(teacher.volume)
    view = View(picture, backbone_of(Grey()))
    vessel = mask_in(picture, teacher.labels == 4, teacher.volume.grid)
    part = np.zeros_like(vessel)
    part[20:60, 20:50, 20:60] = 1.0
    assert view.telling(vessel) > PLENTY
    assert view.telling(part) < NOTHING
    assert view.telling(np.zeros_like(vessel)) == 0.0
    assert view.telling(np.ones_like(vessel)) == 0.0


def test_features_count_as_far_as_they_tell_the_structures_apart(teacher, other) -> None:
    picture = picture_of(teacher.volume)
    wanted = {"vessel": 4, "kidney": 3}
    # As a memory has structures that were taught one after the other: each with a teacher of its own.
    taught = {
        name: teacher_of(picture, {name: (teacher.labels == value, None)}, teacher.volume.grid)
        for name, value in wanted.items()
    }
    look = looks(backbone_of(Grey()))
    registrations = Registrations(other.volume, look=look)
    vessel, kidney = taught["vessel"], taught["kidney"]
    assert registrations._share(picture, vessel.masks, never) == 1.0
    assert Registrations(other.volume)._share(picture, vessel.masks, never) == 0.0
    first = registrations.deformation(kidney, kidney.region("kidney"), kidney.masks)
    assert registrations.deformation(kidney, kidney.region("kidney"), kidney.masks) is first
    found = registrations.locate({name: [one] for name, one in taught.items()})
    assert all(one.prior is not None for one in found.values())


def test_a_stop_is_heard_between_batches(kits) -> None:
    view = View(picture_of(kits.patient().volume), backbone_of(Grey()))
    asked = []

    def soon() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Stopped):
        view.at(view.frame.points(), soon)
    assert view.at(view.frame.points()).isfinite().all()


def test_a_few_pictures_are_kept_and_a_backbone_without_shared_tokens_sees_none(kits) -> None:
    net = Grey()
    look = looks(backbone_of(net))
    picture = picture_of(kits.patient().volume)
    first = look(picture)
    same = picture.cut(tuple(slice(0, n) for n in picture.grey.shape))
    assert look(same) is first
    others = [picture.cut((slice(0, n), slice(0, 20), slice(0, 20))) for n in range(4, 4 + KEPT)]
    for other in others:
        look(other)
    assert look(picture) is not first
    assert looks(SimpleNamespace(shared=None)) is None


def test_a_session_keeps_what_was_seen_of_earlier_patients(trained, phantom, kit) -> None:
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    assert session.earlier._registrations.look is session.look  # that is what Segment registers by
    picture = session.earlier.picture
    seen = session.look(picture)
    assert seen.at(seen.frame.points()).isfinite().all()
    session.set_volume(kit.make_phantom(12).volume)
    assert session.look(picture) is seen


def test_principal_components_are_of_both_and_the_greatest_come_first() -> None:
    random = torch.Generator().manual_seed(1)
    first, second = (torch.randn((5, 6, 6, 6), generator=random) for _ in range(2))
    first[3] *= 4
    second[3] *= 4
    every = torch.ones(6, 6, 6)
    own, theirs = principal(first, second, every, every, 2)
    assert own.shape == theirs.shape == (2, 6, 6, 6)
    both = torch.cat([own.flatten(1), theirs.flatten(1)], 1)
    variance = both.var(1)
    assert variance[0] > variance[1]
    assert float(variance.sum()) == pytest.approx(1.0, rel=0.01)
    assert abs(float(np.corrcoef(own[0].flatten(), first[3].flatten())[0, 1])) > 0.99


def test_nothing_seen_is_no_crash() -> None:
    maps = torch.zeros(16, 4, 4, 4)
    own, theirs = principal(maps, maps, torch.zeros(4, 4, 4), torch.zeros(4, 4, 4))
    assert own.shape == theirs.shape
    own, theirs = principal(maps, maps, torch.ones(4, 4, 4), torch.ones(4, 4, 4))
    assert own.isfinite().all()
    assert theirs.isfinite().all()


def test_registration_with_a_view_finds_a_known_deformation(teacher, other, kits) -> None:
    own, theirs = picture_of(teacher.volume), picture_of(other.volume)
    mask = mask_in(own, teacher.labels == 3, teacher.volume.grid)
    region = Region.of(own, mask)
    look = looks(backbone_of(Grey()))
    found, again = (register(theirs, own, region, look=look) for _ in range(2))
    assert found.fit.fits
    assert torch.equal(found.field, again.field)
    truth = mask_in(theirs, other.labels == 3, other.volume.grid) > 0.5
    carried = found.carried(mask, own, frame_of(theirs)) > 0.5
    assert 2 * (carried & truth).sum() / (carried.sum() + truth.sum()) > 0.85
    further = register(theirs, own, Region.of(own, mask_in(own, teacher.labels == 2, teacher.volume.grid)),
                       known=found, look=look)  # fmt: skip
    assert further.fit.fits
