"""From a trained network to a file that runs without torch: .xnor for the binary engine, .onnx for every family."""
