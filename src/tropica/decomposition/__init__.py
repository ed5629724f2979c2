"""DC decompositions N = F⁺ − F⁻, the extraction of the linear terms, and the certificate of Theorem 3.3."""
