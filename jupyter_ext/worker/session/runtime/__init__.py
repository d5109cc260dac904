"""What a debug session is made of: kernel, main thread, interrupts, code, models, trainings."""
