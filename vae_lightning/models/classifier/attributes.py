"""Attributes: faces and what they have of a list of attributes -> one yes or no for each."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.protocols import NamesAttributes
from vae_lightning.metrics.label_scores import LabelScores
from vae_lightning.models.classifier.task import Task

CELEBA = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes",
    "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling",
    "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
)  # fmt: skip


class Attributes(Task):
    """Which attributes an image has: labels y (B, L) of 0 and 1, as `data.CelebA` gives them; one logit for each.

    Args:
        names: of the L attributes, in the order of the labels; by default CelebA's 40.

    Examples:
        >>> from vae_lightning.models import Attributes
        >>> Attributes().num_outputs, Attributes(["Male", "Smiling"]).num_outputs
        (40, 2)
    """

    def __init__(self, names: Sequence[str] = CELEBA) -> None:
        check_kinds(Attributes, locals())
        if not names or len(set(names)) < len(names):
            raise ValueError(f"Attributes needs one name or more, each once, got {list(names)}")
        self.names = tuple(names)

    @property
    def num_outputs(self) -> int:
        """One for each attribute."""
        return len(self.names)

    def check_data(self, data: object) -> None:
        """ValueError if the data name other attributes, or none."""
        if isinstance(data, NamesAttributes) and list(found := data.attribute_names) != list(self.names):
            has = f"{len(found)} attributes ({found[0]}, ...)" if found else "none"
            raise ValueError(
                f"Attributes learns {len(self.names)} attributes ({self.names[0]}, ...), the data have {has}: put "
                "list_attr_celeba.txt beside the faces, say the data's own by model.task.names, or learn "
                "models.Rotations, which needs none"
            )

    def posed(
        self, x: Float[Tensor, "B C H W"], y: Shaped[Tensor, "B *L"] | None, training: bool
    ) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B L"]]:
        """The images as they are, and their labels as floats; ValueError for labels of another shape."""
        if y is None or tuple(y.shape) != (len(x), len(self.names)):
            got = "none" if y is None else tuple(y.shape)
            raise ValueError(f"Attributes needs labels {(len(x), len(self.names))} of 0 and 1, got {got}")
        return x, y.to(x.dtype)

    def losses(self, logits: Float[Tensor, "B L"], answers: Float[Tensor, "B L"]) -> Float[Tensor, " B"]:
        """The mean over attributes."""
        return binary_cross_entropy_with_logits(logits, answers, reduction="none").mean(1)

    def figures(self, logits: Float[Tensor, "B L"], answers: Float[Tensor, "B L"]) -> dict[str, Tensor]:
        """Logits and labels."""
        return {"logits": logits, "labels": answers}

    def scores(self) -> LabelScores:
        """Accuracy, balanced accuracy and AUC of each attribute."""
        return LabelScores(self.names)
