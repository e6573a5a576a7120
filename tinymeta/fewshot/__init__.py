"""A few examples per class and a prediction: the face of scikit-learn for a trained run, or for features alone.

    classifier = tm.fewshot.load("runs/images-1").fit(pictures, labels)
    classifier.predict_proba(others)

Read classifier.py, then arrays.py for what is taken as X and y. scikit-learn isn't needed, and what it asks of an
estimator holds: its pipelines, searches and scores take this one.
"""

from tinymeta.fewshot.classifier import FewShotClassifier, load

__all__ = ["FewShotClassifier", "load"]
