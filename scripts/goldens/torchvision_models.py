"""Features of torchvision's own networks, whose weights a formula gives: too many to be stored, the same in the tests."""
import numpy as np
import torch
import torchvision

from .common import safetensors
from .formula import between

SIZE = 48  # of the image
CHANNELS = 16  # of the features, every n-th of them is stored


def weights(name, shape, low, high):
    return torch.from_numpy(between(name, shape, low, high))


def fill(model):
    """The names are those within the backbone, so that a network alone and inside another has the same weights."""
    for name, value in model.state_dict().items():
        own = name.removeprefix("backbone.")
        if value.dim() == 4:
            limit = float(np.sqrt(6 / np.prod(value.shape[1:])))
            value.copy_(weights(own, value.shape, -limit, limit))
        elif name.endswith("running_var"):
            value.copy_(weights(own, value.shape, 0.5, 1.5))
        elif name.endswith(".weight"):
            value.copy_(weights(own, value.shape, 0.4, 0.8))
        elif not name.endswith("num_batches_tracked"):
            value.copy_(weights(own, value.shape, -0.2, 0.2))
    return model.double().eval()


def dilate_from(blocks, strides):
    """Turns the strides of these blocks' depthwise convolutions into dilation of what follows, as in torchvision's
    `replace_stride_with_dilation`."""
    dilation = 1
    for index, block in enumerate(blocks):
        for conv in (module for module in block.modules() if isinstance(module, torch.nn.Conv2d) and module.groups > 1):
            conv.dilation, conv.padding = (dilation, dilation), (dilation, dilation)
            if index in strides and conv.stride == (2, 2):
                conv.stride = (1, 1)
                dilation *= 2


def torchvision_models(writer):
    image = weights("image", (1, SIZE, SIZE, 3), -120, 135).double().permute(0, 3, 1, 2)
    segmenter = fill(torchvision.models.segmentation.deeplabv3_resnet101(weights=None, weights_backbone=None))
    alone = fill(
        torchvision.models.resnet101(weights=None, replace_stride_with_dilation=[False, True, True])
    )
    mobile = fill(torchvision.models.mobilenet_v2(weights=None))
    dilate_from(mobile.features, (7, 14))
    with torch.no_grad():
        features = segmenter.backbone(image)["out"]
        logits = segmenter.classifier(features)
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            image_features = getattr(alone, name)(image if name == "conv1" else image_features)
        assert torch.equal(features, image_features), "the same weights give the same features"
        mobile_features = mobile.features(image)
    tensors = {"deeplabv3_resnet101/logits": logits}
    for name, value in (("resnet101", features), ("mobilenet_v2", mobile_features)):
        assert value.shape[2:] == (SIZE // 8, SIZE // 8), f"{name} has stride 8"
        tensors[f"{name}/features"] = value[:, ::CHANNELS]
    tensors = {key: np.ascontiguousarray(value.permute(0, 2, 3, 1).numpy().astype(np.float32)) for key, value in tensors.items()}
    for key, value in tensors.items():
        print(key, value.shape, np.abs(value).max())
    writer.write("torchvision_models.safetensors", safetensors(tensors, {"torchvision": torchvision.__version__}))


FAMILIES = (torchvision_models,)
