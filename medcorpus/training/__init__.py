"""Post-MoE models: made from a dense checkpoint, tuned, measured, handed back as a stock checkpoint.

This package imports torch, transformers, accelerate, safetensors, tokenizers and numpy, with tensorboard, peft,
pyarrow and matplotlib when they are there, and of the house only the standard-library part of `core`: it runs on a
bare CUDA image, where pydantic, typer and yaml are missing. Nothing here is imported until a module is named.

The model side, each file readable alone:

    upcycle     dense Qwen2, Qwen3, Llama or Mistral -> stock `qwen3_moe` / `qwen2_moe`; parity with the dense model
    experts     add an expert to such a checkpoint
    published   an Apollo-MoE checkpoint (`upcycling-qwen2-moe`) -> stock `qwen2_moe`
    weights     tensors from and to safetensors, one at a time
    routing     the hybrid-k router on a stock model: language per token, auxiliary losses, counters
    analysis    what the counters say: table, heat map, entropy, forced share
    attention   packed documents that do not see each other
    loss        cross-entropy over the vocabulary in chunks, weighted by token
    precision   bf16 weights with fp32 masters, what is trained, gradient checkpointing
    base        a dense model with random weights, for work without a download
    tokenizer   a byte-level BPE trained on texts
    sizes       parameters, memory, FLOPs per token, MFU

A training step, with everything in its place (B rows, S tokens a row):

    model = AutoModelForCausalLM.from_pretrained(folder)
    routing.install(model, routing.Routing(), languages=["eng", "zho"])
    attention.install(model)
    model = loss.Objective(model)
    with routing.experts(model, expert_ids, language_ids):        # [B, S] each, -1: none / padding
        found = model(input_ids, targets, weights, position_ids, segment_ids)
        (found.total / supervised_tokens + routing.auxiliary_loss(model) * share).backward()
"""
