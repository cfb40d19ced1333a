"""The progressive recurrent codecs ``rnn-2015`` and ``rnn-2017``.

Read in this order: ``cells`` and ``networks`` (what an iteration computes), ``model`` (training), ``bits`` (the entropy
coder's model of them), ``loop`` (the residual loop over a picture), ``codec`` (files).
"""
