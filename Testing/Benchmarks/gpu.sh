#!/usr/bin/env bash
# What to do with a GPU that is there for a quarter of an hour: tests, timings, then training for the rest.
#
#   Testing/Benchmarks/gpu.sh OUT DATA.pack CT.nii.gz LABELS.nii.gz [START.safetensors [PROMPTS ...]]
#
# DATA.pack comes from `python -m PromptSegTrain.pack`. Everything that is worth keeping ends up in OUT: test report,
# tables, curves, and weights of 16 MB; the checkpoint of 180 MB only with KEEP_CHECKPOINT=1. Settings, with what a GPU
# gets by default: DEVICE=cuda TEST=2m SPEED=1m TRAIN=9m GROUPS_=48 WORKERS=one for each core but two PRESET= SIZES=.
# On a CPU, to see that it runs: DEVICE=cpu TEST=20s SPEED=20s TRAIN=20s GROUPS_=1 WORKERS=1 SMALL=1 with a tiny pack.
set -uo pipefail

[ $# -ge 4 ] || { sed -n '2,10p' "$0"; exit 2; }
mkdir -p "$1" || exit 2
out=$(realpath "$1") pack=$(realpath "$2") image=$(realpath "$3") labels=$(realpath "$4")
shift 4
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
export PYTHONPATH=$top/PromptSeg${PYTHONPATH:+:$PYTHONPATH}
python=${PYTHON:-python}
device=${DEVICE:-cuda} workers=${WORKERS:-$(($(nproc) - 2))}
[ "$workers" -ge 0 ] || workers=0

step() { # NAME LIMIT COMMAND...: its output goes to OUT/NAME.txt, and a failure does not stop the others
    local name=$1 limit=$2 began=$SECONDS
    shift 2
    timeout --signal=INT --kill-after=20 "$limit" "$@" > "$out/$name.txt" 2>&1
    echo "$name: exit status $?, $((SECONDS - began)) s" | tee -a "$out/steps.txt"
}

: > "$out/steps.txt"
step device 30s "$python" -m PromptSegCli info
if [ "$device" = cuda ]; then
    step tests "${TEST:-2m}" "$python" -m pytest -q -x --no-header Testing/Python/test_second_device.py \
        Testing/Python/model Testing/Python/segment Testing/Python/tune/test_tuner.py
fi
step speed "${SPEED:-1m}" "$python" Testing/Benchmarks/speed.py --device "$device" ${SMALL:+--repetitions 1}
step pipeline "${SPEED:-1m}" "$python" Testing/Benchmarks/pipeline.py "$image" "$labels" --label 3 --device "$device"

start=()
if [ $# -gt 0 ]; then
    start=(--start-from "$(realpath "$1")")
    shift
    for prompts in "$@"; do start+=(--prompts "$(realpath "$prompts")"); done
fi
[ -n "${SMALL:-}" ] && start+=(--preset tiny)
step train "$((${TRAIN_LIMIT:-600}))s" "$python" -m PromptSegCli pretrain "$pack" -o "$out/run" --device "$device" \
    --workers "$workers" --groups "${GROUPS_:-48}" --lr "${LR:-2e-3}" --warmup 200 --steps 100000 --decay 60000 \
    --time-budget "${TRAIN:-9m}" --paced --slices 5 --prompt-tasks 0 --dense 2 --validate-every 1000000 --validate-stride 8 \
    --save-every 2000 "${start[@]}"
[ "${KEEP_CHECKPOINT:-}" = 1 ] || rm -f "$out/run/last.safetensors"
ls -l "$out" "$out/run" 2>/dev/null
