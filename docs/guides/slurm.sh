#!/bin/sh
# sbatch docs/guides/slurm.sh --config newsgroups/8bit --config trainer/gpus-nodes
#SBATCH --nodes=2 --ntasks-per-node=8 --gpus-per-node=8 --time=04:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append

# this job's run, if an earlier start of it has left a checkpoint; all options are in its folder
last=$(ls -t runs/job-"$SLURM_JOB_ID"-*/checkpoints/last.ckpt 2>/dev/null | head -n 1)
if [ -n "$last" ]; then
    set -- --ckpt_path "${last%/checkpoints/last.ckpt}"
else
    set -- "$@" --trainer.logger.version "job-$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0}"
fi
srun vae-lightning fit "$@"
