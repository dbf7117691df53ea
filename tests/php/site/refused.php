<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

Voxgate\Shim\ApiResponder::start();
throw new Voxgate\Shim\Refusal('quota_exceeded', 'Slow down', ['limit' => 5], ['retry-after' => '7']);
