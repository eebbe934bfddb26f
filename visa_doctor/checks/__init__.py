"""One file for each check: `look` gives findings. All of them stand in `visa_doctor/table.py`."""
