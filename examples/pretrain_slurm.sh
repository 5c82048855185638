#!/bin/bash
# Pre-train on all GPUs of one or more nodes, again and again until it is finished:
#
#     sbatch examples/pretrain_slurm.sh SCANS RUN --max-steps 200000
#
# SCANS and RUN are folders that every node sees; what follows goes to `napari-genesis pretrain` as it is. Three minutes
# before the time is up every process is sent SIGUSR1: the run writes a checkpoint and ends, and the job is queued again.
#SBATCH --job-name=genesis
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=8
#SBATCH --mem=128G
#SBATCH --time=08:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append

set -u
scans=$1 run=$2
shift 2
# Best on a disk of the node's own: scans are prepared there once, by one process a node.
export GENESIS_CACHE=${GENESIS_CACHE:-${TMPDIR:-/tmp}/genesis_cache}

# What an earlier job left behind; whatever differs afterwards is this job's.
before=$(cat "$run/status.json" 2>/dev/null)
# One task a GPU; where one is lost, Slurm ends the others instead of letting them wait.
srun --kill-on-bad-exit=1 napari-genesis pretrain "$scans" --out "$run" --resume auto "$@"
code=$?

# Stopped because the time was up, not because somebody asked for it (napari-genesis runs stop): go on later. A job that
# never got as far as training is not queued again, for it might go on like that for ever.
after=$(cat "$run/status.json" 2>/dev/null)
if [ "$after" != "$before" ] && [[ $after == *'"state": "stopped"'* ]] && [ ! -e "$run/stop" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
