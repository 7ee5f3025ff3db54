"""The claude reasoner: a model's judgement on top of what statistics have settled, under limits that code keeps."""
