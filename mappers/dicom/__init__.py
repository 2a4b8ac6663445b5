"""DICOM VL Photographic Image, in and out; the picture's bytes stay as they are."""
