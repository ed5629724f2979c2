"""Data: named sets and files as `LabelledData`, and any kind of data as a repeatable pass of checked batches."""

from tropica.data.batches import as_batches as as_batches
from tropica.data.batches import batch_lengths as batch_lengths
from tropica.data.batches import count_points as count_points
from tropica.data.batches import first_points as first_points
from tropica.data.files import FileData as FileData
from tropica.data.labelled import LabelledData as LabelledData
from tropica.data.load import load_data as load_data
from tropica.data.validate import validate_points as validate_points
