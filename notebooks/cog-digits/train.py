"""A Cog trainer as it is written for Cog: nothing in here knows jupyter-ext."""

import torch
from cog import BaseModel, Input, Path, current_scope
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from tqdm import tqdm

from network import network

WIDTHS = [32, 64, 128]


class TrainingOutput(BaseModel):
    weights: Path
    test_accuracy: float


def train(
    epochs: int = Input(description="Passes over the training images", default=10, ge=1, le=100),
    lr: float = Input(description="Learning rate of Adam", default=3e-3, ge=0, le=1),
    width: int = Input(description="Units of the hidden layer", default=64, choices=WIDTHS),
) -> TrainingOutput:
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    x_train, x_test, y_train, y_test = map(
        torch.as_tensor, train_test_split(images, torch.tensor(digits.target), test_size=0.2, random_state=0)
    )
    model = network(width)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in tqdm(range(epochs), desc="Training"):
        for batch in torch.randperm(len(x_train)).split(64):
            loss = F.cross_entropy(model(x_train[batch]), y_train[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
        current_scope().record_metric("train.loss", loss.item(), mode="append")
        current_scope().record_metric("test.accuracy", accuracy, mode="append")
    save_file(model.state_dict(), "weights.safetensors")
    return TrainingOutput(weights=Path("weights.safetensors"), test_accuracy=accuracy)
