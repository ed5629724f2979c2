"""What every long computation needs: memory, processes, interrupts, progress, files."""
