"""What a script does beside the calls that are read: each such line says something, or is asked about.

One script, with one further line or argument at a time; the import must differ from that of the script alone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ftspec.port.bring import Imported, bring

BASE = """\
from datasets import *
from peft import *
from transformers import *
from trl import SFTConfig, SFTTrainer
import os, torch
{top}
tokenizer = AutoTokenizer.from_pretrained("org/base")
{tokens}
model = AutoModelForCausalLM.from_pretrained("org/base", torch_dtype=torch.bfloat16{load})
{model}
rows = load_dataset("json", data_files="r.jsonl", split="train")
{rows}
args = SFTConfig(output_dir="o", learning_rate=1e-4, max_length=512, dataset_text_field="text"{config})
{args}
trainer = SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer{given})
{trainer}
trainer.train()
"""
SLOTS = ("top", "tokens", "load", "model", "rows", "config", "args", "given", "trainer")
SAYS: dict[str, tuple[str, ...]] = {
    "top": (
        "torch.set_default_dtype(torch.float32)", "SFTTrainer.compute_loss = mine", "patch_all()",
        "torch.nn.functional.cross_entropy = mine", "accelerator = Accelerator(mixed_precision='fp16')",
        "SFTConfig = partial(SFTConfig, packing=True)", "os.environ['ACCELERATE_USE_FSDP'] = 'true'",
    ),
    "tokens": (
        "tokenizer.bos_token = '<s>'", "tokenizer.chat_template = '{{ messages }}'",
        "tokenizer.add_tokens(['<a>'])", "tokenizer.add_bos_token = True", "tokenizer.sep_token = 'x'",
        "tokenizer.backend_tokenizer.normalizer = None", "tokenizer.init_kwargs['add_eos_token'] = True",
        "tokenizer = AutoTokenizer.from_pretrained('org/other')", "tokenizer.legacy = False",
        "tokenizer.add_eos_token = True",
    ),
    "load": (
        ", attention_dropout=0.1", ", rope_scaling={'factor': 2.0}", ", config=other", ", revision='x'",
        ", num_hidden_layers=4", ", state_dict=state", ", output_router_logits=True", ", subfolder='x'",
        ", tie_word_embeddings=False", ", max_position_embeddings=9", ", variant='fp16'",
    ),
    "model": (
        "model.config.attention_dropout = 0.1", "model.config.update({'attention_dropout': 0.1})",
        "setattr(model.config, 'attention_dropout', 0.2)", "model = model.to(torch.float32)",
        "model.half()", "model.to('cuda', torch.float16)", "model.requires_grad_(False)",
        "model.lm_head.weight.requires_grad = False", "model.resize_token_embeddings(32000)",
        "for p in model.parameters():\n    p.requires_grad = False", "model = torch.compile(model)",
        "model.load_state_dict(torch.load('x.pt'))", "model = PeftModel.from_pretrained(model, 'x')",
        "model.add_adapter(LoraConfig(r=4))", "model.model.layers = model.model.layers[:4]",
        "model.lm_head = torch.nn.Linear(4, 4)", "freeze(model)", "model = freeze(model)",
        "torch.nn.init.normal_(model.lm_head.weight)", "model = model.merge_and_unload()",
        "with torch.no_grad():\n    model.lm_head.weight.zero_()", "model.forward = mine",
    ),
    "rows": (
        "rows = rows.filter(lambda row: len(row['text']) > 5)", "rows = rows.select(range(10))",
        "rows = rows.shuffle()", "rows = rows.train_test_split(test_size=0.1)['train']",
        "rows = rows.map(lambda row: {'text': row['text'].lower()})", "rows = rows.sort('text')",
        "rows = rows.rename_column('body', 'text')", "rows = Dataset.from_list([r for r in rows if r['ok']])",
        "rows = concatenate_datasets([rows, rows])", "rows = rows.shard(4, 0)", "rows = rows.skip(100)",
        "rows = Dataset.from_dict(rows[:100])", "rows = clean(rows)", "rows = rows.add_column('text', new)",
        "rows = rows.map(lambda row: tokenizer(row['text']))", "rows.set_transform(mine)",
        "rows = rows.map(lambda row: {'text': row['a'] if row['b'] else row['c']})",
        "rows = rows.map(lambda row: {'text': row['a'][:100]})", "rows = rows.repeat(3)",
        "rows = rows.map(lambda row: {'text': row['a'].strip()})", "random.shuffle(rows)",
    ),
    "config": (
        ", packing=True", ", dataset_kwargs={'skip_prepare_dataset': True}", ", label_smoothing_factor=0.1",
        ", dataloader_drop_last=True", ", auto_find_batch_size=True", ", **extra", ", loss_type='dft'",
        ", accelerator_config={'split_batches': True}", ", average_tokens_across_devices=False",
        ", warmup_ratio=0.1, warmup_steps=5", ", data_seed=3", ", completion_only_loss=True",
    ),
    "args": (
        "args.max_steps = 5", "args.set_optimizer(name='adamw_torch', learning_rate=1e-3)",
        "args = args.set_training(learning_rate=1e-3)", "vars(args).update(learning_rate=1e-3)",
        "args.__dict__['learning_rate'] = 1", "args = dataclasses.replace(args, learning_rate=1e-3)",
        "setattr(args, 'learning_rate', 1e-3)", "args.learning_rate *= 2",
    ),
    "given": (
        ", callbacks=[Stop()]", ", data_collator=mine", ", optimizers=(mine, None)", ", model_init=mine",
        ", compute_loss_func=mine", ", formatting_func=mine", ", **further",
        ", optimizer_cls_and_kwargs=(torch.optim.SGD, {'lr': 1})",
    ),
    "trainer": (
        "trainer.add_callback(Stop())", "trainer.train_dataset = other", "trainer.data_collator = mine",
        "trainer.optimizer = mine", "trainer.model.requires_grad_(False)", "trainer.compute_loss = mine",
        "trainer.args.max_steps = 3", "trainer = wrap(trainer)", "model.lm_head.weight.data *= 2",
        "trainer.accelerator.gradient_accumulation_steps = 1", "patch(trainer)", "trainer.train()",
        "for name, m in trainer.model.named_modules():\n    if 'norm' in name:\n        m.to(torch.float32)",
    ),
}  # fmt: skip
SHOWN = {
    "model": (
        "model.config.use_cache = False",
        "model.eval()",
        "model.print_trainable_parameters()",
    ),
    "rows": ("rows = rows.remove_columns(['x'])", "print(rows[0])"),
    "config": (", report_to='none'", ", logging_steps=10"),
    "trainer": ("trainer.model.print_trainable_parameters()",),
}


def brought(folder: Path, slot: str = "", line: str = "") -> Imported:
    path = folder / "fit.py"
    path.write_text(BASE.format(**{one: line if one == slot else "" for one in SLOTS}))
    return bring([path])


def told(imported: Imported) -> tuple[object, ...]:
    lost = {
        (f.setting.key, f.kind) for f in imported.fates if f.kind in ("unknown", "approximated")
    }
    kept = {f.setting.key for f in imported.fates if f.kind == "kept"}
    return dict(imported.composed.values), len(imported.composed.open), lost, kept


@pytest.mark.sweep
@pytest.mark.parametrize("slot", SLOTS)
def test_nothing_that_changes_a_training_is_passed_over(tmp_path: Path, slot: str) -> None:
    alone = told(brought(tmp_path))
    silent = [line for line in SAYS[slot] if told(brought(tmp_path, slot, line)) == alone]
    assert not silent


@pytest.mark.parametrize("slot", SHOWN)
def test_what_changes_nothing_is_not_asked_about(tmp_path: Path, slot: str) -> None:
    alone = told(brought(tmp_path))[1]
    assert [line for line in SHOWN[slot] if told(brought(tmp_path, slot, line))[1] != alone] == []
