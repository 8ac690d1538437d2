"""`python -m binance_small_liability`: the same as the command `binance-small-liability`."""

from binance_small_liability_command import main

if __name__ == "__main__":
    main()
