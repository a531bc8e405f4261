"""Post-MoE models: made from a dense checkpoint, tuned, measured, handed back as a stock checkpoint.

This package imports torch, transformers, accelerate, safetensors, tokenizers and numpy, with tensorboard, peft,
pyarrow and matplotlib when they are there, and of the house only the standard-library part of `core`: it runs on a
bare CUDA image, where pydantic, typer and yaml are missing. Nothing here is imported until a module is named.

The model:

    moe/upcycle    dense Qwen2, Qwen3, Llama or Mistral -> stock `qwen3_moe` / `qwen2_moe`; parity with the dense model
    moe/routing    the hybrid-k router on a stock model: language per token, auxiliary losses, counters
    moe/analysis   what the counters say: table, heat map, entropy, forced share
    moe/experts    add an expert
    moe/published  an Apollo-MoE checkpoint (`upcycling-qwen2-moe`) -> stock `qwen2_moe`
    weights        tensors from and to safetensors, one at a time
    base           a dense model with random weights, for work without a download
    tokenizer      a byte-level BPE trained on texts

A step:

    attention      packed documents that do not see each other
    loss           cross-entropy over the vocabulary in chunks, weighted by token
    precision      bf16 weights with fp32 masters, what is trained, gradient checkpointing
    sizes          parameters, memory, FLOPs per token, MFU

A run (`python -m medcorpus.training DIR`):

    prepared       a folder with everything resolved: configuration, plans, tokens, tokenizer, base
    plan/          which tokens in which order in which row, computed once
    reader         plan and tokens -> batches
    run, loop      step by step, one plan each; `devices` one or many, `log`, `checkpoint` whole or not there
    evaluate       exam questions scored by likelihood

With everything in its place (B rows, S tokens a row):

    model = AutoModelForCausalLM.from_pretrained(folder)
    routing.install(model, routing.Routing(), languages=["eng", "zho"])
    attention.install(model)
    model = loss.Objective(model)
    with routing.experts(model, expert_ids, language_ids):        # [B, S] each, -1: none / padding
        found = model(input_ids, targets, weights, position_ids, segment_ids)
        (found.total / supervised_tokens + routing.auxiliary_loss(model) * share).backward()
"""
