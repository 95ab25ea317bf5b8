"""Images in a config of LLaMA-Factory: which parts of the model train, how large an image may be.

llamafactory 0.9.5: data/converter.py looks for files below `media_dir`, which is `dataset_dir` unless said;
data/mm_plugin.py makes images smaller, hparams/model_args.py has the sizes.
"""

from __future__ import annotations

import posixpath
from typing import Any

from ftspec.data.images import COLUMN, ENDLESS
from ftspec.data.named import templates
from ftspec.port.fates import Setting
from ftspec.port.formats.llamafactory import aged
from ftspec.port.formats.llamafactory.data import ONLINE, sources, split_names
from ftspec.port.rules import Context, Outcome, Rule, inert

FREEZES = {
    "language": ("freeze_language_model", False),
    "projector": ("freeze_multi_modal_projector", True),
    "vision": ("freeze_vision_tower", True),
}
"""Its key for each part, and what it assumes without it."""
SIZES = {"image_min_pixels": 32 * 32, "image_max_pixels": 768 * 768}
PIECES = ("image_do_pan_and_scan", "crop_to_patches")
FILMS = ("video_max_pixels", "video_min_pixels", "video_fps", "video_maxlen")
PROJECTOR_ALONE = "train_mm_proj_only"
NO_IMAGES = "no row has images, and text it does not touch"
UNSEEN = "whether its rows have images is not known, since the data is not"
TRAIN = "model.images.train"
SIZE_ONCE = (
    "image_max_pixels is not said: up to 0.8 images stayed as they were, up to 0.9.1 image_resolution made "
    "them 512 x 512 at the most, and since 0.9.2 they have 589,824 pixels at the most, as in the spec: which "
    "is meant?"
)


ADAPTERS = {"lora": "lora_target", "oft": "oft_target"}
"""Tuners that train beside the model, and the key of the layers that get one."""
APART = (
    "qwen2_vl", "gemma3", "intern_vl", "mistral_small", "llava", "llava_next", "llava_next_llama3",
    "llava_next_mistral", "llava_next_qwen", "llava_next_yi", "paligemma", "paligemma_chat", "mllama",
)  # fmt: skip
"""Templates of models with a projector in which no layer is called like one of the rest."""
LIKE_ITS_TOWER = ("qwen3_vl", "qwen3_vl_nothink", "qwen3_5", "qwen3_5_nothink", "qwen3_6")
"""Those where its layers are called like some of the tower: `linear_fc1`."""
UNREACHED = (
    "no adapter gets to the projector for all that: none of its layers is called like those that are found "
    "outside it (model/model_utils/misc.py, find_all_linear_modules; visual.py, patch_target_modules)"
)
BY_NAMES = (
    "which layers of the projector get an adapter is by their names: those that are called like a layer that "
    "is found elsewhere (model/model_utils/visual.py, patch_target_modules)"
)


def shows(context: Context) -> bool:
    """Whether its rows have a column of images."""
    found = sources(split_names(context.get("dataset")), context).sources
    return any(COLUMN in source["columns"] for source in found)


def unseen(context: Context) -> bool:
    """Whether rows that are not known may have images: a template without a plugin for them takes none."""
    named = templates().get(str(context.get("template")))
    if named is not None and not named.plugin:
        return False
    return bool(sources(split_names(context.get("dataset")), context).missing)


def _untouched(context: Context) -> Outcome:
    """What becomes of a setting about images, where no row is known to have any."""
    if unseen(context):
        return Outcome("unknown", why=UNSEEN)
    return Outcome("inert", why=NO_IMAGES)


def _free(part: str, context: Context) -> bool:
    """Whether a part is not frozen."""
    key, absent = FREEZES[part]
    return not context.get(key, absent)


def _reached(context: Context) -> bool | None:
    """Whether a projector that is not frozen trains; None: that is by names which are not known."""
    key = ADAPTERS.get(context.get("finetuning_type") or "lora")
    if key is None:
        return True
    name, targets = context.get("template"), split_names(context.get(key) or "all")
    if name in (*APART, *LIKE_ITS_TOWER):
        if targets == ("all",):
            return name in LIKE_ITS_TOWER and _free("vision", context)
        if all(target.endswith("_proj") for target in targets):
            return False
    return None


def trained(context: Context) -> tuple[str, ...]:
    """The parts that train."""
    parts = tuple(part for part in FREEZES if _free(part, context))
    return parts if _reached(context) else tuple(part for part in parts if part != "projector")


def seen(context: Context) -> dict[str, Any]:
    """What a spec says of images where the config is silent; nothing where there are none."""
    if not shows(context):
        return {}
    sizes = {
        f"model.images.{key[6:]}": bound(context.get(key, value)) for key, value in SIZES.items()
    }
    # a cut may take a part of an image; a run of a spec stops at such a row
    parts = trained(context) or ("language",)
    return {TRAIN: parts, **sizes, "model.images.learned": True, "data.overflow": "error"}


def bound(pixels: Any) -> Any:
    """A spec's bound on pixels: none where no image is as small as this, or as large."""
    return None if pixels == 0 or (isinstance(pixels, int) and pixels >= ENDLESS) else pixels


def uncut(context: Context) -> tuple[str, ...]:
    """A note on rows that are too long."""
    if not shows(context):
        return ()
    return (
        "a row with images that is longer than cutoff_len is cut there, and stops the run here",
    )


def elsewhere(context: Context) -> tuple[str, ...]:
    """The question where images lie elsewhere than the data file: a spec looks beside that alone."""
    if not shows(context) or context.get("dataset_dir", "data") == ONLINE:
        return ()
    base = posixpath.normpath(str(context.get("media_dir") or context.get("dataset_dir", "data")))
    found = sources(split_names(context.get("dataset")), context).sources
    folders = {posixpath.dirname(each["path"]) or "." for each in found if each["path"]}
    if folders <= {base}:
        return ()
    return (f"paths of images start at {base}, and a spec's at the folder of the data file",)


def smaller(context: Context) -> tuple[str, ...]:
    """The question how small images were made, where an older release may have run it."""
    said = {"image_max_pixels", "image_resolution"} & context.document.data.keys()
    last = aged.until(context)[0]
    return (SIZE_ONCE,) if shows(context) and not said and last <= aged.EMPTY_SINCE else ()


def image_rules() -> dict[str, Rule]:
    """A rule for each of its keys about images."""
    return {
        **{key: _part for key, _ in FREEZES.values()},
        **dict.fromkeys(SIZES, _size),
        **dict.fromkeys(PIECES, _pieces),
        **dict.fromkeys(FILMS, inert("films are out of scope: rows with any are refused")),
        "media_dir": _folder,
        PROJECTOR_ALONE: _alone,
    }


def _alone(setting: Setting, _context: Context) -> Outcome:
    if not setting.value:
        return Outcome("inert", why="a switch of older releases, which is off")
    return Outcome("unknown", why="0.9.5 has freeze_language_model in its place, and stops at it")


def _part(setting: Setting, context: Context) -> Outcome:
    if not shows(context):
        if setting.key == FREEZES["language"][0] and setting.value and not unseen(context):
            return Outcome("unknown", why="no row has images, and all that text trains is frozen")
        return _untouched(context)
    if not trained(context):
        return Outcome("unknown", why="all parts of the model are frozen")
    found = Outcome("derived", spec={TRAIN: trained(context)}, why="which parts train")
    if setting.key != FREEZES["projector"][0] or setting.value or _reached(context):
        return found
    if _reached(context) is None:
        return found._replace(kind="unknown", why=BY_NAMES)
    return found._replace(why=UNREACHED, loud=True)


def _size(setting: Setting, context: Context) -> Outcome:
    if not shows(context):
        return _untouched(context)
    path = f"model.images.{setting.key.removeprefix('image_')}"
    least = setting.key == "image_min_pixels"
    if not isinstance(setting.value, int) or setting.value < (0 if least else 1):
        return Outcome("unknown", why="a number of pixels is a whole one from 1 on")
    return Outcome("renamed", spec={path: bound(setting.value)})


def _pieces(setting: Setting, context: Context) -> Outcome:
    if not setting.value:
        return Outcome("inert", why="images are not cut in pieces")
    if not shows(context):
        return _untouched(context)
    return Outcome("unknown", why="images that are cut in pieces are not in a spec")


def _folder(_setting: Setting, context: Context) -> Outcome:
    if not shows(context):
        return _untouched(context)
    if problem := elsewhere(context):
        return Outcome("unknown", why=problem[0])
    return Outcome("derived", why="where the data file lies", of=("data.train",))
