"""PyInstaller runs this for a program that imports the package of its name."""

from PyInstaller.utils.hooks import collect_data_files, copy_metadata

# The contract, which the fake Binance reads, and what `--version` reads.
datas = collect_data_files("binance_small_liability_api") + copy_metadata("binance-small-liability")
