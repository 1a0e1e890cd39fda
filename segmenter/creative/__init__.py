"""Images and texts of a creative library in one space: search, spectra, brand drift, bias."""
