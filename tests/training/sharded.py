"""Started by torchrun: three steps of a tiny mixture under FSDP2, printed as numbers that one process must give too."""

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

from medcorpus.training import attention, loss, precision
from medcorpus.training.moe import routing
from tests.training import tiny


def main(out: Path, dtype: torch.dtype, every: int) -> None:
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    model = tiny.moe(top_k=2).to(dtype).train()
    routing.install(model, routing.Routing(z=0.1, language=0.1), languages=["a", "b", "c", "d"])
    attention.install(model)
    precision.checkpointing(model, every)
    objective = loss.Objective(model)
    if world > 1:
        dist.init_process_group("gloo")
        for layer in model.model.layers:
            fully_shard(layer)
        fully_shard(objective)
    optimizer = precision.MasterAdamW(precision.groups(model, 1e-2))
    totals = []
    for step in range(3):
        x = tiny.ids(4, 12, seed=step)
        own = x % 4
        mine = slice(rank * 4 // world, (rank + 1) * 4 // world)
        x, own = x[mine], own[mine]
        segments = torch.ones_like(x)
        positions = torch.arange(12).expand(len(x), 12)
        with routing.experts(model, own, own):
            found = objective(x, loss.targets(x, segments, segments), None, positions, segments)
            # Shards average gradients over the world: right for the auxiliary mean, undone for the sum over tokens.
            (found.total / 44 * world + routing.auxiliary_loss(model)).backward()
        optimizer.step()
        optimizer.zero_grad()
        total = found.total.detach()
        if world > 1:
            dist.all_reduce(total)
        totals.append(total.item())
    counts = torch.from_numpy(routing.statistics(model).used)
    weights = {}
    for name, weight in model.named_parameters():
        whole = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
        weights[name] = whole.float().norm().item()
    if world > 1:
        dist.all_reduce(counts)
    if rank == 0:
        out.write_text(json.dumps({"totals": totals, "weights": weights, "used": counts.tolist()}))
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), getattr(torch, sys.argv[2]), int(sys.argv[3]))
