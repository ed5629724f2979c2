"""Published bounds on the number of linear regions, as exact Python integers; `log10` gives their decimal logarithms."""

from tropica.bounds.architecture import Architecture, NotCovered
from tropica.bounds.convolution import Conv, ConvNet
from tropica.bounds.histograms import Histogram, gamma_hinz2021, gamma_montufar2017, gamma_naive, gamma_serra2018, hinz2019
from tropica.bounds.logs import log10, serra2018_log10
from tropica.bounds.lower import arora2018, montufar2014, serra2018_lower
from tropica.bounds.maxout import montufar2022, serra2018_maxout
from tropica.bounds.table import Bound, bounds_of
from tropica.bounds.upper import montufar2017, raghu2017, serra2018, zaslavsky, zhang2018
from tropica.bounds.xiong import xiong2020_lower, xiong2020_one_layer, xiong2020_upper

__all__ = [
    "Architecture",
    "Bound",
    "Conv",
    "ConvNet",
    "Histogram",
    "NotCovered",
    "arora2018",
    "bounds_of",
    "gamma_hinz2021",
    "gamma_montufar2017",
    "gamma_naive",
    "gamma_serra2018",
    "hinz2019",
    "log10",
    "montufar2014",
    "montufar2017",
    "montufar2022",
    "raghu2017",
    "serra2018",
    "serra2018_log10",
    "serra2018_lower",
    "serra2018_maxout",
    "xiong2020_lower",
    "xiong2020_one_layer",
    "xiong2020_upper",
    "zaslavsky",
    "zhang2018",
]
