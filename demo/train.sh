#!/usr/bin/env bash
# Makes the two models of this folder from nothing, on scenes that it makes first:
#
#     bash demo/train.sh OUT
#
# SEGZERO is the command, if `segzero` is not on the path. Interrupted, the same command goes on.
# docs/tiny.md tells what each stage is for, how long it takes and what comes of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# A path is of the folder that this is called in.
segzero=$(type -P "${SEGZERO:-segzero}") || { echo "no command \`${SEGZERO:-segzero}\`: name it by SEGZERO" >&2; exit 2; }
segzero=$(realpath "$segzero")
mkdir -p "${1:?give a folder for the runs}" && cd "$1"
# Batches of such small models leave nothing for a second thread.
export RAYON_NUM_THREADS=${RAYON_NUM_THREADS:-1}

# scenes NAME COUNT OBJECTS SEED [FLAG...]
scenes() {
    [ -d "$1" ] || {
        "$segzero" synth --out "$1.new" --count "$2" --objects "$3" --seed "$4" --sentences plain "${@:5}"
        mv "$1.new" "$1"
    }
}

# prepare SCENES SPLIT OUT [FLAG...]: their training set, at the size that the small model sees.
prepare() { "$segzero" prep --root "$1" --split "$2" --size 84 --out "$3" "${@:4}"; }

# sft OUT FROM SET STEPS RATE [FLAG...]
sft() {
    "$segzero" train sft --out "$1" --model "$2" --set "$3" --max-steps "$4" --learning-rate "$5" \
        --num-train-epochs 100 --adam-beta2 0.98 --save-steps 500 --save-total-limit 1 "${@:6}"
}
last() { ls -d "$1"/checkpoints/step-?????? | tail -n 1; }

# 1. SAM 2: masks from boxes and points.
scenes masks 1000 9 1
scenes masks-of-3 1000 3 1
mask() {
    "$segzero" train mask --model "$1" --out "$2" --root "$3" --split train --val-split val --val-limit 30 \
        --max-steps "$4" --learning-rate "$5" --batch-size 4 --max-grad-norm 1 --weight-decay 0.05 \
        --warmup-steps 30 --save-steps 100 --taught all --focal 5 --alpha 0.8 \
        --box 0.1 --point 0 --points 0 --box-and-points 0.9 "${@:6}"
}
# The decoder learns to heed prompts, at 192 pixels, while the image encoder stays random as it is.
"$segzero" train init --config "$here/segmenter-at-192" --out mask-begin
mask mask-begin mask-1 masks 600 2e-3 --freeze image --objects 8 --lr-scheduler-type constant
# The same weights at 256 pixels, where masks are finer; then the encoder learns along.
mkdir -p mask-larger
cp "$(last mask-1)/model.safetensors" "$here/segmenter/config.json" mask-larger
mask mask-larger mask-2 masks-of-3 500 2e-3 --freeze image
mask "$(last mask-2)" mask-3 masks-of-3 600 1e-3 --image-rate 0.2
"$segzero" train export --checkpoint "$(last mask-3)" --out segmenter

# 2. What a picture shows and how to say it. One object first, and a slow vision tower; then two, then
# up to three. The reply names the other objects, then the one that is asked for: coarsely, then exactly.
think='<think>I see {others}. I look for {question} {place}.</think><answer>{answer}</answer>'
scenes one 4000 1 11
scenes two 5000 1-2 12
scenes three 16000 1-3 21 --longest-side 252
for name in one two three; do prepare $name train $name-train; done
"$segzero" train init --config "$here/reasoner" --out reasoner-begin --query-bias-std 1.5
sft sft-1 reasoner-begin one-train 2000 1.5e-3 --reply "$think" --rollout-batch-size 8 \
    --prompts-at-once 8 --warmup-steps 100 --vision-rate 0.03
sft sft-2 "$(last sft-1)" two-train 3000 1.5e-3 --reply "$think" --rollout-batch-size 16 \
    --prompts-at-once 16 --warmup-steps 100 --vision-rate 0.25
sft sft-3 "$(last sft-2)" three-train 3600 1.5e-3 --reply "$think" --rollout-batch-size 16 \
    --prompts-at-once 16 --warmup-steps 100 --vision-rate 0.5 --lr-scheduler-type cosine

# 3. Other ways to answer: mostly without thinking, and in another format. They take turns.
plain='<answer>{answer}</answer>'
sft sft-4 "$(last sft-3)" three-train 200 7e-4 --rollout-batch-size 16 --prompts-at-once 16 \
    --warmup-steps 50 --lr-scheduler-type cosine --reply "$think" --reply "$plain" \
    --reply '<think>I look for {question} {place}.</think><answer>{list}</answer>' \
    --reply "$plain" --reply "$plain"

# 4. GRPO finds out which of them Seg-Zero's rewards want, and better boxes.
prepare three test three-test --leaks allow --count 256 --seed 1
"$segzero" train grpo --out grpo --model "$(last sft-4)" --set three-train --preset seg-zero-paper \
    --frame 280 --rollout-batch-size 16 --num-generations 8 --max-completion-length 72 \
    --learning-rate 4e-4 --adam-beta2 0.98 --warmup-steps 5 --num-train-epochs 10 --max-steps 100 \
    --prompts-at-once 16 --save-steps 25 --save-total-limit 0 --val-set three-test \
    --val three --val-split test --val-limit 200 --val-side 84 --segmenter segmenter
"$segzero" train export --checkpoint grpo --out reasoner
"$segzero" report grpo --out report
echo "reasoner/ and segmenter/ are the models, report/ the curves of GRPO"
