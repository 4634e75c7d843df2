"""int8: post-training quantisation with the tool each runtime recommends, and what to do where accuracy falls.

    quantize(network, runtime, train, folder, *, preprocessing, deployable, write_float,
             measure=None, tolerance=0.01, settings=None, fine_tuning=FineTuning(), seed=0, progress=SILENT) -> Quantized

`network`: trained, batch norm folded or not. `train`: `train_images(dataset, store)`. `folder`: receives the files of
the int8 model under the names of the float one. `deployable(network) -> nn.Module`: uint8 (N, H, W, 3) to
probabilities (N, C), as in foray.export.graph. `write_float(module, folder) -> Path`: writes that module as the
runtime's float32 model and returns its entry (not called for ExecuTorch). `measure(entry) -> PairedResult`: accuracy
lost against the float32 network on the validation split; without it the first quantisation is kept as it is.
`Quantized`: `entry` and `files` (paths), `settings` that were used, `remedies` (sentences, for artifact.json),
`result` (PairedResult or None), `meets_tolerance`.

`sensitivity.pre_check(network, images, preprocessing) -> PreCheck` predicts before any export, layer by layer.

| module | holds |
|---|---|
| `settings` | what the tools are told |
| `train_images` | the seeded, stratified sample of the train split |
| `onnx`, `openvino`, `litert`, `executorch` | one function a runtime |
| `fake_quantization` | int8 simulated in PyTorch |
| `sensitivity` | the pre-check |
| `fine_tuning` | short quantisation-aware fine-tuning |
| `remedies` | what is tried, in order, until the loss is within the tolerance |
"""
