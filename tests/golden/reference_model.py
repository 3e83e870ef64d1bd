"""Reference forward pass of the wav2vec 2.0 family, written to be read.

One module for wav2vec 2.0, HuBERT, data2vec-audio and WavLM, built from the fields of a
Hugging Face config.json.  Parameter names equal the Hugging Face names without the
family prefix ("wav2vec2." and so on), plus "lm_head.*".  One utterance at a time, no
padding, no dropout, no masking.  Runs in the dtype of the parameters and the input, so
that float64 gives the expected values of the tests.

make_golden.py checks it against torchaudio for every form that torchaudio has.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

FAMILY_PREFIX = {"wav2vec2": "wav2vec2.", "hubert": "hubert.",
                 "data2vec-audio": "data2vec_audio.", "wavlm": "wavlm."}


def normalize(waveform, eps=1e-7):
    """Zero mean and unit (biased) variance over one whole utterance."""
    centred = waveform - waveform.mean()
    return centred / torch.sqrt(centred.square().mean() + eps)


class ConvLayer(nn.Module):
    """Conv1d without padding, then nothing, group norm or layer norm, then GELU.

    The norms keep eps 1e-5 whatever config.layer_norm_eps says."""

    def __init__(self, config, index):
        super().__init__()
        inputs = config["conv_dim"][index - 1] if index else 1
        outputs = config["conv_dim"][index]
        self.conv = nn.Conv1d(inputs, outputs, config["conv_kernel"][index],
                              config["conv_stride"][index], bias=config["conv_bias"])
        # data2vec has layer norms always and ignores feat_extract_norm
        has_layer_norm = (config["model_type"] == "data2vec-audio"
                          or config["feat_extract_norm"] == "layer")
        self.norm_over = "channels" if has_layer_norm else "time" if index == 0 else None
        if has_layer_norm:
            self.layer_norm = nn.LayerNorm(outputs)
        elif index == 0:
            self.layer_norm = nn.GroupNorm(outputs, outputs)

    def forward(self, x):  # [1, C, T]
        x = self.conv(x)
        if self.norm_over == "time":
            x = self.layer_norm(x)
        elif self.norm_over == "channels":
            x = self.layer_norm(x.transpose(1, 2)).transpose(1, 2)
        return F.gelu(x)


class FeatureExtractor(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.conv_layers = nn.ModuleList(
            ConvLayer(config, i) for i in range(len(config["conv_dim"])))

    def forward(self, waveform):  # [samples] -> [T, C]
        x = waveform[None, None]
        for layer in self.conv_layers:
            x = layer(x)
        return x[0].transpose(0, 1)


class FeatureProjection(nn.Module):
    def __init__(self, config):
        super().__init__()
        channels = config["conv_dim"][-1]
        if config.get("feat_proj_layer_norm", True):
            self.layer_norm = nn.LayerNorm(channels, eps=config["layer_norm_eps"])
        self.projection = nn.Linear(channels, config["hidden_size"])

    def forward(self, x):
        if hasattr(self, "layer_norm"):
            x = self.layer_norm(x)
        return self.projection(x)


def same_length_conv(x, weight, bias, groups):
    """Conv1d over [T, D] with padding kernel/2; an even kernel makes T + 1 frames, of
    which the last is dropped."""
    kernel = weight.shape[2]
    y = F.conv1d(x.transpose(0, 1)[None], weight, bias, padding=kernel // 2, groups=groups)
    return y[0, :, :x.shape[0]].transpose(0, 1)


class WeightNormConv(nn.Module):
    """Holds weight_g [1,1,K], weight_v [D,D/groups,K] and bias; the norm is per tap."""

    def __init__(self, width, kernel, groups):
        super().__init__()
        self.groups = groups
        self.weight_g = nn.Parameter(torch.ones(1, 1, kernel))
        self.weight_v = nn.Parameter(torch.zeros(width, width // groups, kernel))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        norm = self.weight_v.square().sum(dim=(0, 1), keepdim=True).sqrt()
        weight = self.weight_g * self.weight_v / norm
        return same_length_conv(x, weight, self.bias, self.groups)


class PositionalConv(nn.Module):
    """wav2vec 2.0, HuBERT, WavLM: one weight-normed conv and GELU."""

    def __init__(self, config):
        super().__init__()
        self.conv = WeightNormConv(config["hidden_size"], config["num_conv_pos_embeddings"],
                                   config["num_conv_pos_embedding_groups"])

    def forward(self, x):
        return F.gelu(self.conv(x))


class StackedPositionalLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config["hidden_size"]
        groups = config["num_conv_pos_embedding_groups"]
        self.conv = nn.Conv1d(width, width, config["conv_pos_kernel_size"], groups=groups)

    def forward(self, x):
        x = same_length_conv(x, self.conv.weight, self.conv.bias, self.conv.groups)
        return F.gelu(F.layer_norm(x, x.shape[-1:]))  # no gain, no bias, eps 1e-5


class StackedPositionalConv(nn.Module):
    """data2vec: num_conv_pos_embeddings blocks of conv, layer norm and GELU."""

    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(StackedPositionalLayer(config)
                                    for _ in range(config["num_conv_pos_embeddings"]))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def relative_bucket(distance, bucket_count, max_distance):
    """WavLM's bucket of distance = key - query (int64 tensor): half of the buckets for
    keys after the query; within a half, one a frame up to a quarter of bucket_count,
    then logarithmic up to max_distance.  The logarithm is taken in float32."""
    half = bucket_count // 2
    exact = half // 2
    size = distance.abs()
    log_part = torch.log(size.float().clamp(min=1) / exact)
    log_part = log_part / math.log(max_distance / exact) * (half - exact)
    large = (exact + log_part).long().clamp(max=half - 1)
    return torch.where(size < exact, size, large) + (distance > 0).long() * half


class Attention(nn.Module):
    def __init__(self, config, index):
        super().__init__()
        width = config["hidden_size"]
        self.heads = config["num_attention_heads"]
        self.head_width = width // self.heads
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            setattr(self, name, nn.Linear(width, width))
        self.has_position_bias = config["model_type"] == "wavlm"
        if self.has_position_bias:
            self.buckets = config["num_buckets"]
            self.max_distance = config["max_bucket_distance"]
            self.gru_rel_pos_const = nn.Parameter(torch.ones(1, self.heads, 1, 1))
            self.gru_rel_pos_linear = nn.Linear(self.head_width, 8)
            if index == 0:
                self.rel_attn_embed = nn.Embedding(self.buckets, self.heads)

    def split(self, x):  # [T, D] -> [H, T, hd]
        return x.view(x.shape[0], self.heads, self.head_width).transpose(0, 1)

    def position_bias(self, frames):  # [H, T, T], layer 0 only; shared by all layers
        at = torch.arange(frames)
        bucket = relative_bucket(at[None, :] - at[:, None], self.buckets, self.max_distance)
        return self.rel_attn_embed(bucket).permute(2, 0, 1)

    def gate(self, x):  # [T, D] -> [H, T, 1], from the input of the attention
        pair = self.gru_rel_pos_linear(self.split(x))
        pair = torch.sigmoid(pair.view(*pair.shape[:-1], 2, 4).sum(-1))
        a, b = pair[..., :1], pair[..., 1:]
        return a * (b * self.gru_rel_pos_const[0] - 1) + 2

    def forward(self, x, bias):
        q = self.split(self.q_proj(x)) * self.head_width ** -0.5
        k, v = self.split(self.k_proj(x)), self.split(self.v_proj(x))
        scores = q @ k.transpose(1, 2)
        if bias is not None:
            scores = scores + self.gate(x) * bias
        mixed = torch.softmax(scores, dim=-1) @ v
        return self.out_proj(mixed.transpose(0, 1).reshape(x.shape))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        assert config["hidden_act"] == "gelu"
        self.intermediate_dense = nn.Linear(config["hidden_size"],
                                            config["intermediate_size"])
        self.output_dense = nn.Linear(config["intermediate_size"], config["hidden_size"])

    def forward(self, x):
        return self.output_dense(F.gelu(self.intermediate_dense(x)))


class EncoderLayer(nn.Module):
    def __init__(self, config, index):
        super().__init__()
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        self.is_pre_norm = config["do_stable_layer_norm"]
        self.attention = Attention(config, index)
        self.layer_norm = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x, bias):
        if self.is_pre_norm:
            x = x + self.attention(self.layer_norm(x), bias)
            return x + self.feed_forward(self.final_layer_norm(x))
        x = self.layer_norm(x + self.attention(x, bias))
        return self.final_layer_norm(x + self.feed_forward(x))


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.is_pre_norm = config["do_stable_layer_norm"]
        is_stacked = config["model_type"] == "data2vec-audio"
        self.pos_conv_embed = (StackedPositionalConv if is_stacked else PositionalConv)(config)
        self.layer_norm = nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])
        self.layers = nn.ModuleList(EncoderLayer(config, i)
                                    for i in range(config["num_hidden_layers"]))

    def forward(self, x):
        """The hidden states: the input of layer 0, then the output of every layer; with
        pre-norm the last one has passed encoder.layer_norm (and is then not the raw
        output of the last layer)."""
        x = x + self.pos_conv_embed(x)
        if not self.is_pre_norm:
            x = self.layer_norm(x)
        first = self.layers[0].attention
        bias = first.position_bias(x.shape[0]) if first.has_position_bias else None
        hidden = [x]
        for layer in self.layers:
            hidden.append(layer(hidden[-1], bias))
        if self.is_pre_norm:
            hidden[-1] = self.layer_norm(hidden[-1])
        return hidden


class ReferenceModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.feature_extractor = FeatureExtractor(config)
        self.feature_projection = FeatureProjection(config)
        self.encoder = Encoder(config)
        self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"])

    def forward(self, waveform):
        """waveform [samples] as the first conv sees it (already normalised when the model
        wants that) -> extractor output [T, C], list of hidden states [T, D], logits [T, V]."""
        features = self.feature_extractor(waveform)
        hidden = self.encoder(self.feature_projection(features))
        return features, hidden, self.lm_head(hidden[-1])
