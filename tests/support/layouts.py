"""Tiny data sets in every published layout, for the importers. All pictures are drawn here; none is real."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (20, 24)
"""Height and width of every picture unless a test asks for another."""


def picture(key: int, shape: tuple[int, int] = SIZE) -> np.ndarray:
    """A grey picture that no other key has, uint8 [H, W]."""
    return np.random.default_rng(key).integers(10, 200, shape, dtype=np.uint8)


def mask_of(key: int, shape: tuple[int, int] = SIZE) -> np.ndarray:
    """One 2x3 target, at a place that depends on the key, uint8 [H, W] of 0 and 1."""
    mask = np.zeros(shape, dtype=np.uint8)
    y, x = 2 + key % 9, 3 + key % 11
    mask[y : y + 2, x : x + 3] = 1
    return mask


def save(path: Path, array: np.ndarray) -> None:
    """Write an array as an image file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def pairs(
    images: Path, masks: Path, names: Sequence[str], *, suffix: str = "", extension: str = ".png", start: int = 0
) -> None:
    """Images and 0/255 masks of these names; picture ``start`` is the first."""
    for key, name in enumerate(names, start=start):
        save(images / f"{name}{extension}", picture(key))
        save(masks / f"{name}{suffix}{extension}", mask_of(key) * 255)


def write_list(path: Path, lines: Iterable[str], *, end: str = "\n", last: bool = False) -> None:
    """A split list; ``last`` puts a line end after the last line too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + (end if last else "")).encode())


def numbered(form: str, count: int, start: int = 1) -> list[str]:
    """``form`` filled with 1, 2, ..."""
    return [form.format(i) for i in range(start, start + count)]


def sirst_original(root: Path, *, redistributed: bool = True) -> list[str]:
    """images/, masks/ with _pixels0 and XML boxes, idx_427/, and img_idx/ where ``redistributed``."""
    names = numbered("Misc_{}", 12)
    pairs(root / "images", root / "masks", names, suffix="_pixels0")
    for name in names:
        (root / "masks" / f"{name}.xml").write_text("<annotation/>")
    for split, members in {"train": names[:7], "val": names[7:9], "test": names[9:]}.items():
        write_list(root / "idx_427" / f"{split}.txt", members)
    write_list(root / "idx_427" / "trainval.txt", names[:9])
    if redistributed:
        write_list(root / "img_idx" / "train_NUAA-SIRST.txt", names[6:])
        write_list(root / "img_idx" / "test_NUAA-SIRST.txt", names[:6])
    return names


def sirst_dnanet(root: Path) -> list[str]:
    """images/, masks/, 50_50/{train,test}.txt."""
    names = numbered("Misc_{}", 10)
    pairs(root / "images", root / "masks", names)
    write_list(root / "50_50" / "train.txt", names[:5])
    write_list(root / "50_50" / "test.txt", names[5:])
    return names


def nudt(root: Path) -> list[str]:
    """images/, masks/, img_idx/; six-digit names."""
    names = numbered("{:06d}", 10)
    pairs(root / "images", root / "masks", names)
    write_list(root / "img_idx" / "train_NUDT-SIRST.txt", names[:5], end="\r\n", last=True)
    write_list(root / "img_idx" / "test_NUDT-SIRST.txt", [f"{n}.png" for n in names[5:]])
    return names


def irstd1k_archive(root: Path) -> list[str]:
    """IRSTD1k_Img/, IRSTD1k_Label/, trainval.txt and test.txt at the top."""
    names = numbered("XDU{}", 10, start=0)
    pairs(root / "IRSTD1k_Img", root / "IRSTD1k_Label", names)
    write_list(root / "trainval.txt", names[:8])
    write_list(root / "test.txt", names[8:])
    return names


def sirst_aug(root: Path) -> list[str]:
    """trainval/{images,masks} and test/{images,masks} with numbers that start anew."""
    pairs(root / "trainval" / "images", root / "trainval" / "masks", numbered("{:06d}", 8))
    pairs(root / "test" / "images", root / "test" / "masks", numbered("{:06d}", 3), start=50)
    return [f"trainval/{n}" for n in numbered("{:06d}", 8)] + [f"test/{n}" for n in numbered("{:06d}", 3)]


def sirst_aug_flat(root: Path) -> list[str]:
    """images/, masks/<n>_mask.png, img_idx/{train,test}.txt."""
    names = numbered("{:05d}", 8)
    pairs(root / "images", root / "masks", names, suffix="_mask")
    write_list(root / "img_idx" / "train.txt", names[:6])
    write_list(root / "img_idx" / "test.txt", names[6:])
    return names


def irdst(root: Path) -> list[str]:
    """images/<sequence>/<n>(<m>).bmp; list lines begin with a slash."""
    names = [f"{s}/{t}(9)" for s in (1, 2, 3, 4) for t in (1, 2, 3)]
    pairs(root / "images", root / "masks", names, extension=".bmp")
    write_list(root / "img_idx" / "train_IRDST-real.txt", [f"/{n}" for n in names[:9]])
    write_list(root / "img_idx" / "test_IRDST-real.txt", [f"/{n}" for n in names[9:]])
    return names


def rfr(root: Path) -> list[str]:
    """images/<sequence>/<%04d>.png; video_idx/ names sequences, img_idx/<sequence>.txt frames; numbered objects."""
    names = [f"{s}/{t:04d}" for s in ("a", "b", "c") for t in range(3)]
    for key, name in enumerate(names):
        save(root / "images" / f"{name}.png", picture(key))
        save(root / "masks" / f"{name}.png", mask_of(key) * 2)
        write_list(root / "img_idx" / f"{name.split('/')[0]}.txt", ["0000"])
    write_list(root / "video_idx" / "train_IRSatVideo-LEO.txt", ["a", "b"])
    write_list(root / "video_idx" / "test_IRSatVideo-LEO.txt", ["c"])
    return names


def mirsdt(root: Path, *, frames: int = 7, faithful: bool = True) -> list[str]:
    """Sequence<k>/Mix/<%05d>.mat and masks/<%05d>.png; lists name the .mat files.

    Each stack holds six slices ending at its frame; not ``faithful``, the earlier ones are other pictures.
    """
    from scipy.io import savemat

    names = []
    for sequence in range(1, 5):
        folder = root / f"Sequence{sequence}"
        (folder / "Mix").mkdir(parents=True)
        for t in range(1, frames + 1):
            keys = [
                1000 * sequence + max(t - back, 1) + (0 if faithful or not back else 500) for back in range(5, -1, -1)
            ]
            stack = np.stack([picture(k) for k in keys]).astype(np.float64)
            savemat(folder / "Mix" / f"{t:05d}.mat", {"Mix": stack})
            save(folder / "masks" / f"{t:05d}.png", mask_of(t) * 255)
            save(folder / "masks_centroid" / f"{t:05d}.png", mask_of(t) * 255)
            names.append(f"Sequence{sequence}/{t:05d}")
    lines = [n.replace("/", "/Mix/") + ".mat" for n in names]
    write_list(root / "train.txt", lines[: 3 * frames])
    write_list(root / "test.txt", lines[3 * frames :])
    return names
