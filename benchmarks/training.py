"""`python -m benchmarks.training`: tokens/s and MFU of a training step, and what each part of it is worth.

How it is measured: whole steps (forward, backward, optimizer) on packed rows of random words in documents of uneven
length, weights random. Tokens are those that are not padding; operations are counted by `sizes.flops_per_token` for
the attention that these documents need, without recomputation. The first steps are left out; the median of the others
counts. MFU stands against the data sheet and against what a plain matrix product of this machine reaches. On a CPU the
clock is processor time of one thread, so that a busy machine does not matter much.

    toy         a CPU, seconds
    0.5B, 1.5B  shaped as Qwen2, all trained
    7B          shaped as Qwen2, last two layers and experts trained (all of it does not fit one GPU)
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2MoeConfig

from benchmarks.plain_loop import PlainLoop
from medcorpus.training import attention, loss, precision, sizes
from medcorpus.training.moe import routing

SHAPES = {
    "toy": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4,
            "num_key_value_heads": 2, "vocab_size": 8192, "tie_word_embeddings": True},
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
             "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": True},
    "1.5B": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
             "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": True},
    "7B": {"hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28, "num_attention_heads": 28,
           "num_key_value_heads": 4, "vocab_size": 152_064, "tie_word_embeddings": False},
}  # fmt: skip
EXPERTS, TOP_K, LAYERS = 7, 2, 2


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cuda = torch.cuda.is_available()
    parser.add_argument("--size", choices=SHAPES, default="0.5B" if cuda else "toy")
    parser.add_argument("--rows", type=int, default=4 if cuda else 1, help="rows of a micro-batch")
    parser.add_argument("--length", type=int, default=4096 if cuda else 512, help="tokens of a row")
    parser.add_argument("--steps", type=int, default=20 if cuda else 5)
    parser.add_argument("--every", type=int, default=0, help="gradient checkpointing of every so many layers")
    asked = parser.parse_args()
    if not cuda:
        torch.set_num_threads(1)
    device = torch.device("cuda" if cuda else "cpu")
    dtype = torch.bfloat16 if cuda else torch.float32
    ceiling = matrix_product(8192 if cuda else 1024, device, dtype)
    name = torch.cuda.get_device_name() if cuda else "one CPU thread"
    peak = sizes.peak(name) or ceiling
    print(
        f"{name}, torch {torch.__version__}; matrix product {ceiling / 1e12:.3g} TFLOP/s, data sheet {peak / 1e12:.3g}"
    )
    steps(asked, device, dtype, peak, ceiling)
    blocks(asked, device, dtype)


def steps(asked: argparse.Namespace, device: torch.device, dtype: torch.dtype, peak: float, ceiling: float) -> None:
    """A training step, varied one part at a time; the first line is the dense model, to which all are compared."""
    batch, context, tokens = packed(asked, device)
    kind = "varlen" if device.type == "cuda" else "block"
    variants = [
        ("dense", False, {}),
        ("Post-MoE, grouped_mm", True, {}),
        ("Post-MoE, eager experts", True, {"experts": "eager"}),
        ("Post-MoE, other attention", True, {"attention": "block" if kind == "varlen" else "varlen"}),
        ("Post-MoE, all logits at once", True, {"chunk": asked.rows * asked.length}),
    ]
    print(f"\n{asked.size}: {asked.rows} x {asked.length:,} tokens, documents see {context:.0f} tokens on average\n")
    print("| step | tokens/s | of dense | MFU | of the matrix product | peak GiB |\n|---|---:|---:|---:|---:|---:|")
    dense = 0.0
    for label, mixture, change in variants:
        try:
            model = build(asked, mixture, device, dtype)
            objective, step = prepared(
                model, batch, mixture, {"attention": kind, "experts": "grouped_mm", "chunk": None} | change
            )
            seconds = median(step, asked.steps, device)
        except torch.OutOfMemoryError:
            print(f"| {label} | does not fit | | | | |")
            continue
        rate, flops = tokens / seconds, sizes.flops_per_token(model, context).training
        dense = dense or rate
        held = f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if device.type == "cuda" else ""
        print(
            f"| {label} | {rate:,.0f} | {rate / dense:.1%} | {sizes.mfu(rate, flops, peak):.1%} "
            f"| {sizes.mfu(rate, flops, ceiling):.1%} | {held} |",
            flush=True,
        )
        del model, objective, step
        clean(device)


def build(asked: argparse.Namespace, mixture: bool, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A model of random weights in the shape asked for."""
    shape = SHAPES[asked.size]
    more = {
        "num_experts": EXPERTS, "num_experts_per_tok": TOP_K, "norm_topk_prob": True,
        "moe_intermediate_size": shape["intermediate_size"], "shared_expert_intermediate_size": 64,
        "mlp_only_layers": list(range(shape["num_hidden_layers"] - LAYERS)), "router_aux_loss_coef": 0.0,
    }  # fmt: skip
    torch.manual_seed(0)
    config = Qwen2MoeConfig(**shape, **more) if mixture else Qwen2Config(**shape)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model = precision.trainable(model.train(), "last" if asked.size == "7B" else "full", layers=LAYERS)
    precision.checkpointing(model, asked.every)
    return model


def prepared(
    model: nn.Module, batch: dict[str, Tensor], mixture: bool, change: dict
) -> tuple[nn.Module, Callable[[], None]]:
    """The loss and a function that takes one whole step."""
    if mixture:
        model.set_experts_implementation(change["experts"])
        routing.install(model)
    attention.install(model, change["attention"])
    objective = loss.Objective(model, change["chunk"])
    optimizer = precision.MasterAdamW(precision.groups(model, 1e-5))
    ids, segments = batch["ids"], batch["segments"]
    device = ids.device
    targets = loss.targets(ids, torch.ones_like(ids), segments)
    given = attention.arguments(model, batch["positions"].cpu(), segments.cpu(), device)
    own = segments % EXPERTS

    def step() -> None:
        with routing.experts(model, own):
            (objective(ids, targets, arguments=given).total / ids.numel()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return objective, step


def blocks(asked: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> None:
    """One mixture block alone, forward and backward: stock with our router against the published plain loop."""
    shape = SHAPES[asked.size]
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    x = torch.randn(asked.rows, asked.length, hidden, device=device, dtype=dtype, requires_grad=True)
    own = torch.randint(0, EXPERTS, x.shape[:2], device=device)
    with device:
        plain = PlainLoop(hidden, inner, EXPERTS, TOP_K, normalise=True).to(dtype).train()
    print(f"\none mixture block, {x.shape[0] * x.shape[1]:,} tokens, {EXPERTS} experts of {inner}\n")
    print("| block | ms forward and backward | against the plain loop |\n|---|---:|---:|")
    slow = median(lambda loop=plain: loop(x, own).sum().backward(), asked.steps, device)
    print(f"| plain loop, as published | {slow * 1e3:.1f} | 1.00 |")
    del plain
    for implementation in ("grouped_mm", "eager"):
        model = build(asked, True, torch.device("meta"), dtype)
        block = model.model.layers[-1].mlp.to_empty(device=device)
        for weight in block.parameters():
            nn.init.normal_(weight, std=0.02)
        model.set_experts_implementation(implementation)
        routing.install(model)
        router = model.model.layers[-1].mlp.gate

        def run(block: nn.Module = block, router: routing.HybridRouter = router) -> None:
            router.seat.tokens = routing.Tokens(own, own)
            block(x).sum().backward()

        fast = median(run, asked.steps, device)
        print(f"| ours, {implementation} | {fast * 1e3:.1f} | {slow / fast:.2f} |", flush=True)


def packed(asked: argparse.Namespace, device: torch.device) -> tuple[dict[str, Tensor], float, int]:
    """Rows of documents of uneven length (half a row at most), the mean number of tokens seen, the tokens."""
    rng = torch.Generator().manual_seed(0)
    shape = asked.rows, asked.length
    ids = torch.randint(0, SHAPES[asked.size]["vocab_size"], shape, generator=rng)
    positions, segments = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    seen = 0
    for row in range(asked.rows):
        at, number = 0, 1
        while at < asked.length:
            n = min(
                int(torch.randint(asked.length // 16, asked.length // 2 + 1, (1,), generator=rng)), asked.length - at
            )
            positions[row, at : at + n], segments[row, at : at + n] = torch.arange(n), number
            at, number, seen = at + n, number + 1, seen + n * (n + 1) // 2
    batch = {"ids": ids.to(device), "positions": positions.to(device), "segments": segments.to(device)}
    return batch, seen / ids.numel(), ids.numel()


def median(step: Callable[[], None], count: int, device: torch.device) -> float:
    """Seconds of one call: the median of `count` after a warm-up."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(10 if cuda else 2):
        step()
    times = []
    for _ in range(count):
        if cuda:
            torch.cuda.synchronize()
        begin = time.perf_counter() if cuda else time.process_time()
        step()
        if cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter() if cuda else time.process_time()) - begin)
    return statistics.median(times)


def matrix_product(n: int, device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a product of two n x n matrices of random numbers (zeros would run faster)."""
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / median(lambda: a @ b, 20, device)  # type: ignore[arg-type, return-value]


def clean(device: torch.device) -> None:
    """Give memory back before the next model."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
