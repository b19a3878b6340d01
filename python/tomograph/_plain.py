"""What the estimators need of scikit-learn where it is not installed."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ._errors import InputError


class BaseEstimator:
    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Any:
        for name, value in params.items():
            if name not in self._names():
                raise InputError(f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(self._names())}")
            setattr(self, name, value)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"


class TransformerMixin:
    def fit_transform(self, X: Any, y: Any = None) -> Any:
        return self.fit(X, y).transform(X)  # type: ignore[attr-defined]


class ClassNamePrefixFeaturesOutMixin:
    pass


def check_is_fitted(estimator: Any, attribute: str) -> None:
    if not hasattr(estimator, attribute):
        raise InputError(f"this {type(estimator).__name__} is not fitted yet; call fit() first")


def validate_data(estimator: Any, X: Any, *, reset: bool, dtype: list[Any], ensure_min_samples: int) -> np.ndarray:
    X = np.asarray(X)
    if X.dtype not in dtype:
        X = X.astype(dtype[0])
    if X.ndim != 2:
        raise InputError(f"an array of {X.ndim} dimensions is no set of rows; give [n_samples, n_features]")
    if X.shape[0] < ensure_min_samples or X.shape[1] < 1:
        raise InputError(f"{X.shape[0]} samples of {X.shape[1]} features; at least {ensure_min_samples} of 1 are needed")
    if reset:
        estimator.n_features_in_ = X.shape[1]
    elif X.shape[1] != estimator.n_features_in_:
        raise InputError(f"X has {X.shape[1]} features, {type(estimator).__name__} was fitted to {estimator.n_features_in_}")
    return X
