"""What a job with a GPU finds: which of the node's GPUs are its own, and what the driver says of them."""

import os
import shutil
import subprocess

print("node:", os.environ.get("SLURMD_NODENAME", os.uname().nodename))
print("GPUs of this job:", os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
if shutil.which("nvidia-smi"):
    subprocess.run(["nvidia-smi", "-L"], check=False)
