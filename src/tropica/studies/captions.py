"""The captions of the figures of a report, with the paper's values in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tropica.studies.training.presets import find_preset

SHARED = "Marks are means over runs; whiskers, where there are several runs, one standard deviation, cut off at 0 and 100 %."
BANDS = "Curves are means over runs; bands, where there are several runs, one standard deviation, cut off at 0 and 100 %."
FIDELITY = "Fidelity: the share of test points at which N^(X) gives the label of N."
CAPTIONS: Mapping[str, str] = {
    "table2": (
        f"{FIDELITY} The paper (its own decomposition): "
        "fidelity 97.7 (FCN) and 95.7 (CNN) on MNIST, 52.5 and 30.8 on CIFAR-10; test accuracy of N^(X) 97.6, 95.8, "
        "38.2 and 30.3 %. "
        f"{SHARED}"
    ),
    "leaky": (f"As the figure of Table 2, with LeakyReLU(0.3). The paper gives no numbers in its main text. {SHARED}"),
    "regions": ("The share of points that have a linear region of their own. The paper: all of them, at every epoch."),
    "figure1": (
        "Two inputs. Areas have the color of their label; black: the decision boundary; dots: training points. Last "
        "panel, red: where N^(X) (calibrated) gives another label than N, and on how much of the area. The paper's Figure 1 "
        "is a sketch without numbers."
    ),
    "figure2": (
        "Each mark is a test point: angle and distance between its own coefficients and those of the term that "
        "decides. Right: N^(X) gives the true label. The panels have the same axes. The paper (CIFAR-10): CNN near 90° "
        "throughout; FCN smaller where the answer is right."
    ),
    "figure3": (
        "From left to right one more layer, from the output on, is merged into the extracted function. The paper: "
        "Narrow (CNN) loses 36.6 points of accuracy over all layers, Wide (FCN) 8.1. "
        f"{FIDELITY} {BANDS}"
    ),
    "figure4": (
        "Table 2 after each of several epochs. The paper: at the end extraction costs Narrow 36.6 points of accuracy and "
        f"Wide 8.1. {FIDELITY} {BANDS}"
    ),
    "figure5": (
        "Two networks that differ in their seeds alone, epoch by epoch. The paper: the coefficients of FCN are "
        "clearly correlated after training, those of CNN less. Curves are means over runs; bands, where there are several "
        "runs, one standard deviation."
    ),
    "retraining": (
        "Appendix E.6: angle and distance of the coefficients of two separately trained networks at each training "
        "point. The paper: nearly orthogonal for CNN, much smaller for FCN."
    ),
    "patterns": (
        "The share of units of a layer with equal activation, for test points and their deciding training points, and "
        f"for random pairs. The paper: about 80 % in each layer. {BANDS}"
    ),
    "coefficients": ("Appendix E.7: statistics of each coefficient over all training points; red positive, blue negative."),
    "neighbors": (
        "Appendix E.2: test points, their own coefficients, the deciding training points, and the coefficients of the "
        "active terms; both on one scale. The first right and the first wrong answers: right where N^(X) (extracted) gives the "
        "true label, whatever the network gives."
    ),
    "share": (
        "N^(X) from a part of the terms, five draws each. The authors' scripts measure this; the paper gives no "
        f"numbers. {FIDELITY} Curves are means over runs and draws; bands one standard deviation over these."
    ),
    "shift": (f"Test images moved by whole pixels. The authors' scripts measure this; the paper gives no numbers. {BANDS}"),
    "random": (
        "Terms of random inputs in place of the data. The authors' scripts measure this; the paper gives no numbers. "
        f"{FIDELITY} {SHARED}"
    ),
    "implications": (
        "Of the test points for which the premise holds, the share for which the conclusion holds. No numbers in the paper. "
        f"{SHARED}"
    ),
    "cross": (
        "Straight: the active a⁺ and the active a⁻ come from one training point. A fidelity over fewer than 20 points "
        f"is left out. No numbers in the paper. {FIDELITY} {SHARED}"
    ),
    "estimate": (
        "Left and middle: means of exact counts along segments. Right: powers of ten; the bound is over all weights. Marks are "
        "means over runs; whiskers, where they are longer than the marks, one standard deviation. The paper: bounds beyond "
        "10^300 even for its smallest network, and more regions for Narrow than "
        "for Wide."
    ),
    "decomposition": (
        "K scaled by λ; λ = 1 is the certified decomposition. The paper has one decomposition, with fidelity 97.7 "
        f"(FCN) and 95.7 (CNN) on MNIST, 52.5 and 30.8 on CIFAR-10. {FIDELITY} {BANDS}"
    ),
}


def caption(picture: str, settings: Mapping[str, Any]) -> str:
    """The caption of a figure, with the data and the training of the networks in it.

    Args:
        picture: the name of the file.
        settings: the settings of the study, as in ``numbers.json``.

    >>> caption("figure3.png", {"data": "digits", "training": {"epochs": 2}}).rpartition("%. ")[2]
    'Networks of this run: digits, trained for 2 epochs.'
    """
    stem = picture.removesuffix(".png")
    text = CAPTIONS.get(stem) or next((CAPTIONS[name] for name in CAPTIONS if stem.startswith(f"{name}-")), "")
    training = settings.get("training") or {}
    how = f", trained for {training['epochs']} epochs" if "epochs" in training else ", given"
    preset = find_preset(training.get("preset", ""))
    if preset and preset.shortened(training["epochs"]):
        how += f" ({preset.shortened(training['epochs'])})"
    return f"{text} Networks of this run: {settings.get('data', '')}{how}.".strip()
