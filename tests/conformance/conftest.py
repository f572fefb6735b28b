"""Every registered compressor, in every configuration of its examples, is a test case."""

import pytest

from gradwire.compressors import compressor_class, compressor_ids, get_compressor


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "compressor" not in metafunc.fixturenames:
        return
    cases = [
        (name, config) for name in compressor_ids() for config in compressor_class(name).examples
    ]
    metafunc.parametrize(
        "compressor",
        [get_compressor(name, **config) for name, config in cases],
        ids=[case_id(name, config) for name, config in cases],
    )


def case_id(name: str, config: dict[str, object]) -> str:
    return f"{name}({', '.join(f'{key}={value}' for key, value in config.items())})"
